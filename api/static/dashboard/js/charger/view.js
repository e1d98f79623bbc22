// The view "Charger": its states, connectors, commands and actions, frames, and settings.

import { timeAgo } from "../clock.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { link, query, onQuery, setQuery } from "../router.js";
import { session } from "../session.js";
import { makeActions } from "./actions/pane.js";
import { makeConnectors } from "./connectors.js";
import { draw } from "./draw.js";
import { makeLifecycle } from "./lifecycle.js";
import { makeModel } from "./model.js";
import { makeSettings } from "./settings.js";
import { makeStates } from "./states.js";
import { makeTimeline } from "./timeline.js";

const TICK_MS = 1000;
/** On a narrow screen one of them is shown at a time: the key `tab` of the query. */
const TABS = { timeline: "Commands", frames: "Frames", actions: "Actions", settings: "Settings" };

export async function show(root, [id], { signal }) {
  let model;
  try {
    model = await makeModel(id, signal);
  } catch (error) {
    if (error.status !== 404) throw error;
    showUnknown(root, id);
    return;
  }
  const pane = await framesPane(model.charger, signal);
  if (signal.aborted) return;
  build(root, model, pane, signal);
}

function build(root, model, pane, signal) {
  const lifecycle = makeLifecycle(model, { signal });
  const showFrames = (filters = {}) => {
    setQuery({ tab: "frames", kind: null, ...filters });
    pane.querySelector("h2")?.focus();
    pane.scrollIntoView({ block: "nearest" });
  };
  const states = makeStates(model, {
    start: lifecycle.start,
    remove: lifecycle.remove,
    edit: lifecycle.edit,
    showFrames,
  });
  const sections = {
    states,
    connectors: makeConnectors(model),
    timeline: makeTimeline(model),
    actions: makeActions(model),
    settings: makeSettings(model, { showRemarks: () => showFrames({ kind: "remark" }) }),
    lifecycle,
  };
  const { timeline, actions, settings, connectors } = sections;
  const title = el("h1", {});
  const notes = el("div", {});
  const tabs = el("nav", { class: "tabs", aria: { label: "Parts of the charger" } });
  const columns = { timeline: timeline.node, frames: pane, actions: actions.node, settings: settings.node };
  for (const [name, node] of Object.entries(columns)) node.dataset.tab = name;
  const body = el("div", { class: "charger-body" }, states.node, connectors.node, tabs, el("div", { class: "columns" }, Object.values(columns)));
  fill(root, el("p", { class: "crumbs" }, link("/dashboard", "Fleet"), " / "), el("div", { class: "charger-head" }, title, lifecycle.node), notes, body);

  function showTab() {
    const shown = TABS[query().get("tab")] ? query().get("tab") : "timeline";
    body.dataset.shown = shown;
    draw(tabs, shown, () => Object.entries(TABS).map(([name, label]) =>
      el("button", { type: "button", class: "chip", aria: { pressed: name === shown }, data: { focus: name }, on: { click: () => setQuery({ tab: name === "timeline" ? null : name }, { replace: true }) } }, label)));
  }

  let said = null;
  function update() {
    const { identity, name, runtime } = model.charger;
    draw(title, [identity, name], () => [identity, name ? el("span", { class: "muted" }, ` ${name}`) : null]);
    draw(notes, [model.removed, model.connection], () => notesOf(model));
    root.classList.toggle("away", model.connection.kind === "down" || model.removed);
    for (const section of Object.values(sections)) section.update();
    const state = runtime.observed === "running" ? runtime.ocpp.state : runtime.observed;
    if (said !== null && said !== state) announce(`${identity}: ${state ?? "not known"}`);
    said = state;
  }

  showTab();
  update();
  model.onChange(update);
  onQuery(() => {
    showTab();
    timeline.update();
  }, { signal });
  const timer = setInterval(() => {
    model.refreshIfStale();
    if (model.charger.runtime.host_id) model.refreshHost();
    states.update();
    connectors.tick();
  }, TICK_MS);
  signal.addEventListener("abort", () => clearInterval(timer), { once: true });
}

function notesOf({ removed, connection, charger }) {
  return [
    removed && el("p", { class: "note failed", role: "alert" }, `${charger.identity} has been deleted. What is here is the last that was known of it. `, link("/dashboard", "To the fleet")),
    connection.kind === "down" && el("p", { class: "note stale" }, "Chargehand does not answer. What is here is the last that was known", connection.since ? [", ", timeAgo(connection.since)] : "", "."),
  ];
}

function showUnknown(root, id) {
  const where = session.organization ? ` in ${session.organization}` : "";
  fill(root, el("h1", {}, `No such charger${where}`), el("p", {}, "There is no charger with the id ", el("code", {}, id), ": it was deleted, or it belongs to another organization."), el("p", {}, link("/dashboard", "To the fleet")));
}

/** The pane of the frames; a note in its place when it cannot be loaded. */
async function framesPane(charger, signal) {
  try {
    const { framesPane: make } = await import("../frames/pane.js");
    return make(charger, { signal });
  } catch (error) {
    return el("section", { class: "panel" }, el("h2", {}, "Frames"), el("p", { class: "note failed" }, `The frames could not be loaded: ${error.message}`));
  }
}
