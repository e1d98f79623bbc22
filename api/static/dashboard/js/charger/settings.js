// What the charger is and how it is set up: its settings, its ids, and its newest remark.

import { timeAgo } from "../clock.js";
import { el } from "../el.js";
import { link } from "../router.js";
import { copyButton } from "../shell/problems.js";
import { watts } from "../words.js";
import { draw } from "./draw.js";

const OF_REVISION = new Set(["revision", "applied_revision", "error", "updated_at", "ws_url"]);

/** `does` has showRemarks(). `update()` draws the model again. */
export function makeSettings(model, does) {
  const facts = el("dl", { class: "facts" });
  const followed = el("div", {});
  const settings = el("dl", { class: "facts" });
  const remark = el("div", {});
  const node = el("section", { class: "panel", aria: { labelledby: "settings-title" } },
    el("h2", { id: "settings-title" }, "Settings"), followed, settings,
    el("h3", {}, "Newest remark"), remark,
    el("h3", {}, "What it is"), facts);
  return { node, update };

  function update() {
    const { charger } = model;
    const { spec, control, runtime } = charger;
    draw(followed, [spec.revision, spec.applied_revision, spec.error, runtime.desired, control.connected], () => followedIn(charger));
    draw(settings, spec, () => settingsOf(spec));
    draw(remark, control.remark, () => remarkOf(control.remark, does));
    draw(facts, [charger.id, charger.identity, charger.name, charger.location_id, charger.location_name, charger.labels, charger.expires_at, charger.model, charger.ocpp_version, charger.number_of_connectors, charger.connector_type, runtime.placement, runtime.host_id, control.version, control.connected, control.since], () => factsOf(charger));
  }
}

/** Whether the charger follows the newest revision of its settings. */
function followedIn({ spec, runtime, control }) {
  const { revision, applied_revision: applied, error } = spec;
  if (error) return el("div", { class: "note failed" }, el("p", {}, `It does not follow revision ${applied ?? revision}: ${error}`), el("p", {}, "It goes on with what it had."));
  if (!revision) return el("p", { class: "muted" }, "Nothing is set beyond the catalog.");
  if (applied === revision) return el("p", {}, `The charger follows revision ${revision}, the newest.`);
  const has = applied == null ? "" : ` It has revision ${applied}.`;
  if (runtime.desired === "stopped") return el("p", { class: "note moving" }, `Revision ${revision} counts from the next start.${has}`);
  if (control.connected) return el("p", { class: "note moving" }, `Revision ${revision} is on its way to the charger.${has}`);
  return el("p", { class: "note moving" }, `Revision ${revision} reaches the charger when it is connected to the control link.${has}`);
}

function settingsOf(spec) {
  const given = Object.entries(spec).filter(([name, value]) => value != null && !OF_REVISION.has(name));
  return [["ws_url", spec.ws_url], ...given].map(([name, value]) => pair(labelOf(name), shown(name, value)));
}

/** Secrets come as password_set and authorization_key_set: only whether there is one. */
function shown(name, value) {
  if (name === "scenario") return el("details", {}, el("summary", {}, `${(value.steps ?? value).length} steps`), el("pre", {}, JSON.stringify(value, null, 2)));
  if (name === "ca_certificates") return el("details", {}, el("summary", {}, "set"), el("pre", {}, value));
  if (typeof value === "boolean") return name.endsWith("_set") ? (value ? "set" : "not set") : value ? "yes" : "no";
  if (Array.isArray(value)) return value.join(", ");
  if (typeof value !== "object") return String(value);
  const members = Object.entries(value).filter(([, member]) => member != null);
  return el("ul", { class: "plain" }, members.map(([key, member]) => el("li", {}, el("span", { class: "muted" }, `${name === "configuration" ? key : labelOf(key)}: `), shown(key, member))));
}

function labelOf(name) {
  const label = { ws_url: "CSMS address", visitors: "Cars that come by themselves", password_set: "password", authorization_key_set: "authorization key" }[name];
  return label ?? name.replaceAll("_", " ").replace(/^./, (first) => first.toUpperCase());
}

function remarkOf(remark, does) {
  const all = el("button", { type: "button", class: "button quiet", data: { focus: "remarks" }, on: { click: does.showRemarks } }, "Show all remarks");
  if (!remark) return [el("p", { class: "muted" }, "No warning since its start."), all];
  const shape = remark.level === "error" ? "▲" : "◐";
  return [el("p", {}, el("span", { class: `badge ${remark.level === "error" ? "failed" : "moving"}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), remark.level), " ", remark.message, " ", timeAgo(remark.at)), all];
}

function factsOf(charger) {
  const { id, identity, name, vendor_name, model, connector_type, number_of_connectors, max_charging_power, ocpp_version, location_id, location_name, labels, created_at, expires_at, control, runtime } = charger;
  return [
    pair("Identity", [identity, " ", copyButton(identity, "Copy")]),
    pair(runtime.placement === "shared" ? "Id" : "Id, and ECS service", [el("code", {}, id), " ", copyButton(id, "Copy")]),
    runtime.placement === "shared" && pair("Host", runtime.host_id ? el("code", {}, runtime.host_id) : "none yet"),
    name && pair("Name", name),
    pair("Model", [vendor_name, model].filter(Boolean).join(" ") || "not known"),
    pair("Version", ocpp_version?.replace("OCPP", "OCPP ")),
    pair("Connectors", `${number_of_connectors} of ${connector_type}, up to ${watts(max_charging_power)}`),
    location_id && pair("Location", [location_name ? `${location_name}, ` : "", el("code", {}, location_id)]),
    Object.keys(labels).length > 0 && pair("Labels", el("ul", { class: "plain" }, Object.entries(labels).map(labelItem))),
    pair("Created", timeAgo(created_at)),
    expires_at && pair("Goes away", timeAgo(expires_at)),
    pair("Control link", control.connected ? ["connected, since ", timeAgo(control.since)] : control.since ? ["not connected since ", timeAgo(control.since)] : "never connected"),
    control.version && pair("Simulator", control.version),
  ];
}

/** Leads to the chargers that have the same label. */
function labelItem([name, value]) {
  return el("li", {}, link(`/dashboard?labels=${encodeURIComponent(`${name}:${value}`)}`, value ? `${name}: ${value}` : name));
}

function pair(label, ...content) {
  return el("div", {}, el("dt", {}, label), el("dd", {}, content));
}
