// The dialog that creates chargers, with defaults from the newest charger, the catalog and the API.

import { api } from "../../client.js";
import { formDialog, toast } from "../../dialog.js";
import { el, fill } from "../../el.js";
import { offeredLocations } from "../../locations/offered.js";
import { session } from "../../session.js";
import { counted } from "../../words.js";
import { CHOICES } from "../query.js";
import { allBrands, modelsOf } from "./catalog.js";
import { nextAfter, numbered } from "./numbering.js";

const MAX_COUNT = 50; // one request for each
/** For the first charger of an organization. */
const FIRST = { brand_slug: "wallbox", model_slug: "wallbox-pulsar-plus", connector_type: "Type2", ocpp_version: "OCPP1.6" };
const PLACEMENTS = [["", "as the server has it"], ["dedicated", "dedicated: an ECS service of its own"], ["shared", "shared: on a host, with others"]];
const LOCATIONS = "fleet-create-locations";
const NEWEST = 100; // chargers, among which the highest number is looked up
const MAX_GUESSES = 5;

/** Open the dialog, with `given` instead of what it would propose. Returns the chargers that were created, perhaps none. Raises ApiError if the catalog cannot be read. */
export async function createDialog(given = {}) {
  const created = [];
  const [defaults, brands, locations] = await Promise.all([defaultsOf(), allBrands(), offeredLocations(LOCATIONS)]);
  const form = fieldsOf({ ...defaults, ...given }, brands, locations);
  await form.chooseBrand(defaults.model_slug, defaults.connector_type);
  await formDialog({
    title: "Create a charger",
    body: form.nodes,
    action: "Create",
    submit: (data) => createAll(data, form, created),
  });
  if (created.length) announceCreated(created);
  return created;
}

/** What a new charger is likely to be: like the newest one, with the next free identity. */
async function defaultsOf() {
  const { data } = await api.get("/ocpp/chargers", { sort: "-created_at", limit: NEWEST });
  const [newest] = data;
  const given = newest ?? { ...FIRST, ws_url: session.me?.csms_url ?? "" };
  const prefix = newest ? newest.identity.replace(/[0-9]+$/, "") : "CP-";
  return { ...given, identity: await freeIdentity(data.map((row) => row.identity), prefix) };
}

async function freeIdentity(identities, prefix) {
  let guess = nextAfter(identities, prefix);
  for (let guesses = 0; guesses < MAX_GUESSES; guesses++) {
    const { total } = await api.get("/ocpp/chargers", { identity: guess, limit: 1 });
    if (!total) break;
    guess = numbered(guess, 2)[1];
  }
  return guess;
}

function fieldsOf(defaults, brands, locations) {
  const identity = input("identity", { value: defaults.identity, required: true, spellcheck: "false" });
  const count = input("count", { type: "number", min: "1", max: String(MAX_COUNT), value: "1" });
  const brand = select("brand_slug", brands.map(({ slug, name }) => [slug, name]), defaults.brand_slug);
  const model = select("model_slug", []);
  const connector = select("connector_type", []);
  const hint = el("span", { class: "fleet-hint" });
  const progress = el("p", { class: "fleet-progress", role: "status" });
  let models = [];

  const showConnectors = (chosen) => {
    const types = models.find(({ slug }) => slug === model.value)?.connector_types ?? [];
    options(connector, types.map((type) => [type, type]), chosen);
  };
  const chooseBrand = async (chosenModel, chosenConnector) => {
    models = await modelsOf(brand.value);
    options(model, models.map((one) => [one.slug, modelWords(one)]), chosenModel);
    showConnectors(chosenConnector);
  };
  const showNumbers = () => {
    const many = numberOf(count);
    const names = many > 1 && many <= MAX_COUNT ? numbered(identity.value.trim(), many) : [];
    hint.textContent = names.length ? `${names[0]} to ${names.at(-1)}` : "";
  };
  brand.addEventListener("change", () => chooseBrand().catch((error) => (progress.textContent = error.detail ?? error.message)));
  model.addEventListener("change", () => showConnectors(connector.value));
  for (const one of [identity, count]) one.addEventListener("input", showNumbers);

  const nodes = [
    field("Identity", identity, "What the charger calls itself to its CSMS"),
    field("How many", count, hint),
    field("Brand", brand),
    field("Model", model),
    field("Connector", connector),
    field("OCPP version", select("ocpp_version", CHOICES.ocpp_version.map((one) => [one, one]), defaults.ocpp_version)),
    field("CSMS", input("ws_url", { type: "text", value: defaults.ws_url, spellcheck: "false" }), "ws:// or wss://. The charger adds a slash and its identity"),
    field("Placement", select("placement", PLACEMENTS, defaults.runtime?.placement ?? ""), "Where it runs"),
    field("Name", input("charge_point_name", {}), "Optional"),
    field("Location", input("location_id", { value: defaults.location_id ?? "", list: LOCATIONS, spellcheck: "false" }), "Optional: the id of a location that exists"),
    locations,
    field("Location name", input("location_name", { value: defaults.location_name ?? "" }), "Optional"),
    progress,
  ];
  return { nodes: el("div", { class: "fleet-create" }, nodes), chooseBrand, identity, count, progress, showNumbers };
}

function modelWords({ name, current_type: current, supported_kwh: powers, connector_count: count }) {
  const power = powers?.length ? `, ${Math.max(...powers)} kW` : "";
  return `${name} (${[current?.toUpperCase(), count && counted(count, "connector")].filter(Boolean).join(", ")}${power})`;
}

/** One request after the other. After an error the form has what is left: the identity that was refused, and the rest of the count. */
async function createAll(data, form, created) {
  const body = Object.fromEntries([...data].filter(([key, value]) => key !== "count" && value.trim() !== "").map(([key, value]) => [key, value.trim()]));
  const count = numberOf(form.count);
  if (!(count >= 1 && count <= MAX_COUNT)) throw problemWith("count", `1 to ${MAX_COUNT}`);
  const identities = numbered(body.identity ?? "", count);
  for (const [index, identity] of identities.entries()) {
    if (count > 1) form.progress.textContent = `Creating ${identity}: ${index + 1} of ${count}`;
    try {
      const { charger_id: id } = await api.post("/ocpp/chargers", { ...body, identity });
      created.push({ id, identity });
    } catch (error) {
      form.progress.textContent = index ? `${counted(index, "charger")} created, ${count - index} left.` : "";
      form.identity.value = identity;
      form.count.value = String(count - index);
      form.showNumbers();
      throw error;
    }
  }
  return created;
}

/** Like an ApiError with one item, for what the page itself can see. */
function problemWith(name, msg) {
  return Object.assign(new Error(msg), { detail: msg, items: [{ loc: ["body", name], msg }] });
}

function numberOf(count) {
  return /^[0-9]+$/.test(count.value) ? Number(count.value) : NaN;
}

function announceCreated(created) {
  const [{ id, identity }] = created;
  const text = created.length === 1 ? `${identity} is created and starts now` : `${counted(created.length, "charger")} are created and start now`;
  toast(text, created.length === 1 ? { href: `/dashboard/chargers/${encodeURIComponent(id)}`, label: `Show ${identity}` } : {});
}

function field(label, control, more) {
  const hint = typeof more === "string" ? el("span", { class: "fleet-hint" }, more) : more;
  control.id = `fleet-create-${control.name}`;
  if (hint) {
    hint.id = `${control.id}-hint`;
    control.setAttribute("aria-describedby", hint.id);
  }
  return el("div", { class: "field" }, el("label", { for: control.id }, label), control, hint);
}

function input(name, attributes) {
  return el("input", { type: "text", name, autocomplete: "off", ...attributes });
}

function select(name, values, chosen) {
  const node = el("select", { name });
  options(node, values, chosen);
  return node;
}

function options(node, values, chosen) {
  fill(node, values.map(([value, text]) => el("option", { value }, text)));
  if (values.some(([value]) => value === chosen)) node.value = chosen;
}
