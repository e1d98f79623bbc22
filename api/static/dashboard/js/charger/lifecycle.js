// Start, stop, restart, edit and delete, with their questions.

import { api } from "../client.js";
import { confirmDialog, formDialog, toast } from "../dialog.js";
import { el } from "../el.js";
import { keys } from "../keys.js";
import { offeredLocations } from "../locations/offered.js";
import { navigate } from "../router.js";
import { sentenceOf } from "../shell/problems.js";
import { energy, watts } from "../words.js";
import { drawn, nameOf } from "./history.js";

/** `update()` follows the model. `start()`, `edit()` and `remove()` are what the buttons do. */
export function makeLifecycle(model, { signal }) {
  const path = `/ocpp/chargers/${encodeURIComponent(model.id)}`;
  const button = (text, act, kind = "") =>
    el("button", { type: "button", class: `button ${kind}`, on: { click: () => act() } }, text);
  const buttons = [
    button("Start", start),
    button("Stop", stop),
    button("Restart", restart),
    button("Edit", edit, "quiet"),
    button("Delete", remove, "quiet"),
  ];
  const node = el("div", { class: "toolbar lifecycle", role: "group", aria: { label: "Charger" } }, buttons);
  const bound = [
    keys.bind("s", "stop the charger, after a question", () => stop({ ask: true })),
    keys.bind("t", "start the charger, after a question", () => start({ ask: true })),
    keys.bind("r", "restart the charger, after a question", () => restart({ ask: true })),
  ];
  signal.addEventListener("abort", () => bound.forEach((unbind) => unbind()), { once: true });
  return { node, update, start, edit, remove };

  function update() {
    const isAway = model.connection.kind === "down";
    for (const each of buttons) {
      each.disabled = isAway || model.removed;
      each.title = isAway ? "Chargehand does not answer" : "";
    }
  }

  async function start({ ask = false } = {}) {
    const { identity } = model.charger;
    if (ask && !(await confirmDialog({ title: `Start ${identity}?`, body: statement(model), action: `Start ${identity}` }))) return;
    await request("start", "Start");
  }

  async function stop(options) {
    if (await isAgreed("Stop", options)) await request("stop", "Stop");
  }

  async function restart(options) {
    if (await isAgreed("Restart", options)) await request("restart", "Restart");
  }

  /** Asks while a transaction runs, which would end; else only on request. */
  function isAgreed(verb, { ask = false } = {}) {
    const { identity } = model.charger;
    const charging = chargingOf(model.charger);
    if (!charging && !ask) return true;
    const body = charging ? `${charging} The transaction ends.` : statement(model);
    return confirmDialog({ title: `${verb} ${identity}?`, body, action: `${verb} ${identity}`, danger: true });
  }

  async function request(name, word) {
    const answer = await attempt(() => api.post(`${path}/${name}-charger`));
    if (!answer) return;
    toast(`${word} of ${model.charger.identity} requested.`);
    model.refresh();
    await model.refreshCommands();
  }

  async function edit() {
    const { charger } = model;
    const before = {
      name: charger.name ?? "",
      location_id: charger.location_id ?? "",
      ws_url: charger.spec.ws_url,
      placement: charger.runtime.placement,
    };
    const locations = await offeredLocations("edit-locations");
    const field = (name, label, note, { type = "text", list } = {}) =>
      el("label", { class: "field" }, el("span", {}, label),
        el("input", { type, name, list, value: before[name], size: 48, spellcheck: "false", autocomplete: "off" }),
        el("span", { class: "muted" }, note));
    const answer = await formDialog({
      title: `Edit ${charger.identity}`,
      action: "Save",
      body: [
        field("name", "Name", "For people. Empty: none."),
        field("location_id", "Location", "The id of its location, which must exist. Empty: none.", { list: locations.id }),
        locations,
        field("ws_url", "CSMS address", "ws:// or wss://. A running charger connects there within a second or so.", { type: "url" }),
        el("label", { class: "field" }, el("span", {}, "Placement"), placements(before.placement),
          el("span", { class: "muted" }, "Where it runs. Another place restarts it: its transactions end, and it is away for seconds to a minute.")),
      ],
      submit: (form) => {
        const changed = Object.fromEntries([...form].filter(([name, value]) => value.trim() !== before[name]));
        const clearable = (name, value) => (name === "ws_url" ? value.trim() : value.trim() || null);
        return api.put(path, Object.fromEntries(Object.entries(changed).map(([k, v]) => [k, clearable(k, v)])));
      },
    });
    if (!answer) return;
    Object.assign(model.charger, answer);
    model.changed();
    toast(`${answer.identity} is saved.`);
    model.refresh();
    model.refreshCommands();
  }

  async function remove() {
    const { identity } = model.charger;
    const charging = chargingOf(model.charger);
    const isSure = await confirmDialog({
      title: `Delete ${identity}?`,
      body: [
        charging && el("p", {}, charging),
        el("p", {}, "It ends, and its commands, frames and memory can no longer be read."),
      ],
      action: `Delete ${identity}`,
      danger: true,
      type: identity,
    });
    if (!isSure || !(await attempt(() => api.del(path).then(() => true)))) return;
    toast(`${identity} is deleted.`);
    navigate("/dashboard");
  }
}

function placements(now) {
  const words = { dedicated: "dedicated: an ECS service of its own", shared: "shared: on a host, with others" };
  const options = Object.entries(words).map(([value, text]) => el("option", { value, selected: value === now }, text));
  return el("select", { name: "placement" }, options);
}

/** What `run` returns; undefined after an error, which is shown. */
async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    if (error.name !== "AbortError") toast(sentenceOf(error), { kind: "failed" });
  }
}

/** "CP-0008 is charging (11.2 kW, 4.1 kWh)."; null while no transaction runs, or nothing is known of it. */
function chargingOf({ identity, connectors, runtime }) {
  const running = (connectors ?? []).filter(({ transaction_id }) => transaction_id != null);
  if (!running.length || runtime.observed === "stopped") return null;
  const figures = (each) => `${watts(each.power_w)}, ${energy(drawn(each))}`;
  if (running.length === 1) return `${identity} is charging (${figures(running[0])}).`;
  return `${identity} is charging: ${running.map((each) => `${nameOf(each)} (${figures(each)})`).join(", ")}.`;
}

function statement({ charger }) {
  return `${charger.identity} is ${charger.runtime.observed}.`;
}
