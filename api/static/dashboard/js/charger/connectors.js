// The connectors as the charger reports them, with what a driver does at each of them.

import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { counted, energy, number, watts } from "../words.js";
import { obstacleOf, perform } from "./actions/perform.js";
import { draw } from "./draw.js";
import { drawn, nameOf } from "./history.js";
import { makePlot } from "./plot.js";

const TOKEN = "chargehand.token_to_present";
const KINDS = { Available: ["○", "stopped"], Charging: ["●", "running"], Faulted: ["▲", "failed"], Unavailable: ["◌", "unknown"] };
const OTHER = ["◐", "moving"];

/** `update()` draws the model again; `tick()` moves the plots on. */
export function makeConnectors(model) {
  const note = el("div", {});
  const cards = el("div", { class: "connectors" });
  const token = el("input", { name: "token", value: sessionStorage.getItem(TOKEN) ?? "CARD-1", size: 12, spellcheck: "false", autocomplete: "off", maxlength: 36 });
  token.addEventListener("input", () => sessionStorage.setItem(TOKEN, token.value));
  const node = el("section", { class: "panel", aria: { labelledby: "connectors-title" } },
    el("div", { class: "panel-head" },
      el("h2", { id: "connectors-title" }, "Connectors"),
      el("label", { class: "choice" }, "Token to present", token)),
    note, cards);
  /** What is shown of each connector, by its name. */
  const shown = new Map();
  return { node, update, tick };

  function update() {
    const { connectors, control, number_of_connectors } = model.charger;
    const obstacle = obstacleOf(model);
    draw(note, [!connectors, control.stale, control.reported_at, obstacle, number_of_connectors], () => [
      !connectors && el("p", { class: "muted" }, `Not known yet: the charger has not reported since its start. It has ${counted(number_of_connectors, "connector")}.`),
      connectors && control.stale && el("p", { class: "note stale" }, "Stale: reported ", timeAgo(control.reported_at), ". The charger is not connected to the control link, so they may have changed since."),
      obstacle && el("p", { class: "muted" }, obstacle),
    ]);
    const names = new Set((connectors ?? []).map(nameOf));
    for (const [name, card] of shown) {
      if (names.has(name)) continue;
      card.node.remove();
      shown.delete(name);
    }
    for (const connector of connectors ?? []) {
      const name = nameOf(connector);
      if (!shown.has(name)) {
        shown.set(name, makeCard(model, connector, () => token.value.trim()));
        cards.append(shown.get(name).node);
      }
      shown.get(name).update(connector, control.stale, obstacle);
    }
  }

  function tick() {
    for (const card of shown.values()) card.tick();
  }
}

function makeCard(model, first, token) {
  const name = nameOf(first);
  const place = first.evse_id == null ? { connector_id: first.connector_id } : { evse_id: first.evse_id };
  const head = el("h3", {});
  const facts = el("dl", { class: "facts" });
  const power = makePlot("Power", watts, { jumps: true });
  const drawnPlot = makePlot("Energy of the transaction", energy);
  const buttons = el("div", { class: "toolbar" });
  const outcome = el("p", { class: "outcome", role: "status" });
  const node = el("article", { class: "connector", aria: { label: name } }, head, facts, power.node, drawnPlot.node, buttons, outcome);
  let isStale = false;
  return { node, update, tick };

  function update(connector, stale, obstacle) {
    isStale = stale;
    node.classList.toggle("stale", stale);
    draw(head, [connector.status], () => [name, " ", badgeOf(connector.status)]);
    draw(facts, connector, () => factsOf(connector));
    draw(buttons, [connector.plugged, connector.transaction_id, connector.fault, obstacle], () => quickButtons(connector, obstacle));
    tick();
  }

  function tick() {
    const points = model.history.of(first);
    power.show(points.map(({ at, power_w }) => ({ at, value: power_w })), !isStale);
    drawnPlot.show(sinceStart(points.map(({ at, energy_wh }) => ({ at, value: energy_wh }))), !isStale);
  }

  function quickButtons({ plugged, transaction_id, fault }, obstacle) {
    const button = (text, kind, event) =>
      el("button", { type: "button", class: "button", disabled: Boolean(obstacle), title: obstacle ?? "", data: { focus: kind }, on: { click: () => act(text, kind, event) } }, text);
    return [
      plugged ? button("Unplug", "unplug-connector") : button("Plug in", "plug-connector"),
      button("Present token", "present-token", () => ({ id_tag: token() })),
      transaction_id != null && button("Stop transaction", "stop-transaction"),
      fault && button("Clear fault", "clear-fault"),
    ];
  }

  async function act(text, kind, event = () => ({})) {
    fill(outcome, `${text}: sent to the charger`);
    const { words, ok } = await perform(model, kind, { ...place, ...event() });
    outcome.classList.toggle("failed", !ok);
    fill(outcome, `${text}: ${words}`);
  }
}

/** Only the present transaction: what came before has another zero. */
function sinceStart(points) {
  const from = points.findLastIndex(({ value }, index) => value == null || (points[index - 1]?.value ?? value) > value);
  return from > 0 && points[from].value == null ? points.slice(from + 1) : points.slice(Math.max(from, 0));
}

function badgeOf(status) {
  const [shape, kind] = status == null ? KINDS.Unavailable : (KINDS[status] ?? OTHER);
  return el("span", { class: `badge ${kind}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), status ?? "not known yet");
}

function factsOf(connector) {
  const known = (value, inWords = String) => (value == null ? null : inWords(value));
  const { plugged, soc_percent, transaction_id, fault } = connector;
  const car = plugged == null ? null : plugged ? "plugged in" : "none";
  return [
    ["Car", known(car) ?? "not known yet"],
    ["State of charge", known(soc_percent, (soc) => `${number(soc)} %`)],
    ["Token", known(connector.id_tag)],
    ["Transaction", known(transaction_id) ?? "none"],
    ["Power", watts(connector.power_w)],
    ["Energy", known(drawn(connector), energy)],
    ["Register", energy(connector.energy_wh)],
    ["Reservation", known(connector.reservation_id)],
    ["Fault", known(fault)],
  ]
    .filter(([, text]) => text != null)
    .map(([label, text]) => el("div", { class: label === "Fault" ? "failed" : null }, el("dt", {}, label), el("dd", {}, text)));
}
