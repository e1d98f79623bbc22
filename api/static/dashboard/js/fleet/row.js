// One row of the table. It is made once and then changed in place, cell by cell, so that the focus and a selected text stay.

import { clock, timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { link } from "../router.js";
import { stateBadge } from "../words.js";
import { commandOf, linkOf, whyOf } from "./sentences.js";

const UNANSWERED_MS = 10_000;
const BUTTONS = [
  ["start", "Start"],
  ["stop", "Stop"],
  ["restart", "Restart"],
];

/** An entry of the table: its node `tr`, the charger `row`, and what else is known of it. */
export function makeEntry(row) {
  const cells = {
    charger: el("th", { scope: "row", class: "fleet-charger" }),
    state: el("td", { class: "fleet-state", data: { label: "State" } }),
    link: el("td", { class: "fleet-link", data: { label: "Link" } }),
    location: el("td", { class: "fleet-location", data: { label: "Location" } }),
    command: el("td", { class: "fleet-command", data: { label: "Command" } }),
  };
  const box = el("input", { type: "checkbox", aria: { label: `Select ${row.identity}` } });
  const actions = el("td", { class: "fleet-actions" }, ...buttonsOf(row));
  const tr = el(
    "tr",
    { tabindex: "-1", data: { id: row.id } },
    el("td", { class: "fleet-select" }, el("label", { class: "fleet-box" }, box)),
    ...Object.values(cells),
    actions,
  );
  const entry = { tr, box, actions, cells, row, drawn: {}, requested: null, mark: null, isStale: false };
  drawEntry(entry);
  return entry;
}

function buttonsOf(row) {
  return [
    ...BUTTONS.map(([act, text]) =>
      el("button", { type: "button", class: "button quiet", data: { act }, aria: { label: `${text} ${row.identity}` } }, text),
    ),
    el(
      "button",
      { type: "button", class: "button quiet", data: { act: "menu" }, aria: { label: `More for ${row.identity}`, haspopup: "menu" } },
      "⋯",
    ),
  ];
}

/** Show the newest row of the charger. A request that it answers is no longer shown as requested. */
export function updateEntry(entry, row) {
  entry.row = row;
  if (entry.requested && row.runtime.generation > entry.requested.after) entry.requested = null;
  drawEntry(entry);
}

/** Show at once what was requested of the charger; the row that answers it replaces this. Null takes it off. */
export function setRequested(entry, verb) {
  entry.requested = verb ? { verb, after: entry.row.runtime.generation, at: performance.now() } : null;
  drawEntry(entry);
}

/** Take off a request that no newer row has answered for a while: the charger was left out, or another request came first. */
export function dropOldRequest(entry) {
  if (entry.requested && performance.now() - entry.requested.at > UNANSWERED_MS) setRequested(entry, null);
}

/** Mark a row that does not belong to the list any more: "removed", "no longer matches", or null. */
export function setMark(entry, mark) {
  if (entry.mark === mark) return;
  entry.mark = mark;
  entry.tr.classList.toggle("fleet-removed", mark === "removed");
  entry.tr.classList.toggle("fleet-faded", mark !== null);
  drawEntry(entry);
}

/** Show by the server's clock whether the charger has not been observed for too long. */
export function checkStale(entry, now = clock.now()) {
  const { stale_at: at } = entry.row.runtime;
  const isStale = Boolean(at) && Date.parse(at) <= now;
  if (entry.isStale === isStale) return;
  entry.isStale = isStale;
  drawEntry(entry);
}

function drawEntry(entry) {
  const { row, requested, mark, isStale } = entry;
  const { runtime } = row;
  const shown = linkOf(row);
  const command = commandOf(row);
  draw(entry, "charger", [row.id, row.identity, row.name, row.status], () => chargerCell(row));
  draw(
    entry,
    "state",
    [runtime.desired, runtime.observed, runtime.observed_since, whyOf(row), mark, isStale, isStale && runtime.observed_at],
    () => stateCell(entry),
  );
  draw(entry, "link", [shown], () => linkCell(shown));
  draw(entry, "location", [row.location_id, row.location_name], () => locationCell(row));
  draw(entry, "command", [requested, command], () => commandCell(requested, command));
  entry.cells.location.classList.toggle("fleet-nothing", !row.location_id && !row.location_name);
  entry.cells.command.classList.toggle("fleet-nothing", !requested && !command);
}

/** Fill the cell if what it shows has changed. */
function draw(entry, name, facts, content) {
  const key = JSON.stringify(facts);
  if (entry.drawn[name] === key) return;
  entry.drawn[name] = key;
  const cell = entry.cells[name];
  const had = cell.contains(document.activeElement);
  fill(cell, ...content());
  if (had) (cell.querySelector("a, button") ?? entry.tr).focus({ preventScroll: true });
}

function chargerCell(row) {
  return [
    link(`/dashboard/chargers/${encodeURIComponent(row.id)}`, row.identity),
    row.name ? el("span", { class: "fleet-name" }, row.name) : null,
    row.status === "READY" ? null : stateBadge("status", row.status),
  ];
}

function stateCell({ row, mark, isStale }) {
  const { runtime } = row;
  const why = whyOf(row);
  return [
    el(
      "span",
      { class: "fleet-line" },
      el("span", { class: "fleet-desired" }, runtime.desired),
      el("span", { aria: { hidden: "true" } }, "→"),
      el("span", { class: "unseen" }, " desired, observed "),
      stateBadge("observed", runtime.observed),
      timeAgo(runtime.observed_since),
    ),
    why ? el("span", { class: "fleet-why" }, why) : null,
    isStale ? staleNote(runtime.observed_at) : null,
    mark ? el("span", { class: "fleet-mark" }, mark) : null,
  ];
}

function staleNote(observedAt) {
  const seen = observedAt ? ["stale: seen ", timeAgo(observedAt)] : ["stale: not seen yet"];
  return el("span", { class: "fleet-stale" }, ...seen);
}

function linkCell({ state, why, since }) {
  return [
    el("span", { class: "fleet-line" }, state ? stateBadge("link", state) : null, state && since ? timeAgo(since) : null),
    why ? el("span", { class: state ? "fleet-why" : "fleet-quiet" }, why) : null,
  ];
}

function locationCell(row) {
  const text = row.location_name ?? row.location_id;
  if (!text) return [];
  if (!row.location_id) return [el("span", {}, text)];
  const label = `Only chargers of ${text}`;
  return [
    el("button", { type: "button", class: "fleet-filter", title: label, data: { location: row.location_id } }, text),
  ];
}

function commandCell(requested, command) {
  if (requested) return [el("span", { class: "badge fleet-requested" }, `${requested.verb} requested`)];
  if (!command) return [];
  const attempts = command.attempts > 0 && command.status !== "failed" ? `, attempt ${command.attempts + 1}` : "";
  return [
    el("span", { class: "fleet-line" }, `${command.verb} `, stateBadge("command", command.status), timeAgo(command.since)),
    el(
      "span",
      { class: "fleet-why" },
      `${command.waits}${attempts}`,
      command.until ? [", next attempt ", timeAgo(command.until)] : null,
    ),
  ];
}
