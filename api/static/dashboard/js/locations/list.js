// The view "Locations": newest first, with how many of their chargers run.

import { api } from "../client.js";
import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { copyText } from "../fleet/acting/copy.js";
import { numbersFor } from "../fleet/pager.js";
import { poll } from "../operations/poll.js";
import { link, onQuery, query, setQuery } from "../router.js";
import { counted, number } from "../words.js";
import { chargersIn, fleetPathOf, labelsOf, pathOf, placeOf, titleOf } from "./words.js";

const LIMIT = 25;
const EVERY_MS = 5000; // each read counts the chargers of a page of locations
const PATH = "/ocpp/locations";
const COLUMNS = ["Location", "Address", "Chargers", "Labels", "Goes away"];

export async function show(root, params, { signal }) {
  const first = await api.get(PATH, wanted(), { signal });
  const labels = el("input", { type: "search", name: "labels", placeholder: "run:1234", spellcheck: "false" });
  const form = el(
    "form",
    { class: "toolbar", role: "search", on: { submit: (event) => search(event, labels.value) } },
    el("label", null, "Label ", labels),
    el("button", { type: "submit", class: "button" }, "Filter"),
  );
  const old = el("p", { class: "note stale", role: "status", hidden: true });
  const count = el("p", { class: "muted", role: "status" });
  const body = el("tbody");
  const table = el(
    "table",
    { class: "table", aria: { label: "Locations" } },
    el("thead", null, el("tr", null, COLUMNS.map((text) => el("th", { scope: "col" }, text)))),
    body,
  );
  const empty = el("div");
  const pages = el("nav", { class: "toolbar", aria: { label: "Pages" } });
  let drawn = "";
  let newest = null; // ends the requests of a page that is not wanted any more

  fill(root, el("h1", null, "Locations"), el("p", null, "A location is a site that chargers belong to."), form, old, count, table, empty, pages);
  draw(first);
  onQuery(follow, { signal });
  follow();

  function follow() {
    newest?.abort();
    newest = new AbortController();
    labels.value = query().get("labels") ?? "";
    poll({ path: PATH, query: wanted(), everyMs: EVERY_MS, shown: draw, failed: away }, AbortSignal.any([signal, newest.signal]));
  }

  function away(error) {
    old.hidden = false;
    old.textContent = `This may be old: ${error.detail ?? error.message}`;
  }

  function draw(found) {
    old.hidden = true;
    const state = JSON.stringify([found, query().get("labels")]);
    if (state === drawn) return;
    drawn = state;
    count.textContent = counted(found.total, "location");
    table.hidden = !found.data.length;
    const focused = body.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    fill(body, found.data.map(rowOf));
    if (focused) [...body.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus();
    fill(empty, found.data.length ? [] : query().get("labels") ? noneMatch() : noLocations());
    const last = Math.max(1, Math.ceil(found.total / found.limit));
    fill(pages, last > 1 ? numbersFor(found.page, last).map((one) => (one === null ? "…" : pageButton(one, found.page))) : []);
  }
}

function search(event, labels) {
  event.preventDefault();
  setQuery({ labels: labels.trim(), page: null });
}

function wanted() {
  return { limit: LIMIT, ...Object.fromEntries([...query()].filter(([key]) => ["labels", "page"].includes(key))) };
}

function rowOf(location) {
  return el(
    "tr",
    null,
    el("th", { scope: "row" }, link(pathOf(location), titleOf(location))),
    el("td", { data: { label: "Address" } }, placeOf(location)),
    el("td", { data: { label: "Chargers" } }, link(fleetPathOf(location), chargersIn(location))),
    el("td", { data: { label: "Labels" } }, labelsOf(location)),
    el("td", { data: { label: "Goes away" } }, location.expires_at ? timeAgo(location.expires_at) : "–"),
  );
}

function pageButton(one, page) {
  const props = { type: "button", class: "button quiet", on: { click: () => setQuery({ page: one === 1 ? null : one }) } };
  return el("button", { ...props, aria: { label: `Page ${one}`, ...(one === page && { current: "page" }) } }, number(one));
}

function noneMatch() {
  const clear = () => setQuery({ labels: null, page: null });
  return el("div", { class: "panel" }, el("h2", null, "No location matches"), el("button", { type: "button", class: "button", on: { click: clear } }, "Show all locations"));
}

/** For an organization without locations. */
function noLocations() {
  const command = curl();
  return el(
    "div",
    { class: "panel" },
    el("h2", null, "No locations yet"),
    el("p", null, "Make one with the API. With a template_slug and a ws_url it gets the chargers of a template too:"),
    el("pre", { class: "fleet-command-line", tabindex: "0" }, command),
    el("button", { type: "button", class: "button quiet", on: { click: () => copyText(command) } }, "Copy"),
  );
}

/** The request that makes a location, for a shell that has a token. */
function curl() {
  const body = { name: "Harbour", address: "1 Quai Nord", city: "Lyon", country: "FR", coordinates: { latitude: 45.76, longitude: 4.84 } };
  return [
    `curl -X POST ${location.origin}${PATH} \\`,
    '  -H "Authorization: Bearer $CHARGEHAND_TOKEN" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${JSON.stringify(body)}'`,
  ].join("\n");
}
