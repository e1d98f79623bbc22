// The hosts: ECS services whose one task runs many shared chargers, and what their processes report.

import { timeAgo } from "../clock.js";
import { el } from "../el.js";
import { link } from "../router.js";
import { session } from "../session.js";
import { counted, ms, number } from "../words.js";

const MIB = 1024 * 1024;
const BADGES = {
  starting: ["moving", "◐"],
  running: ["running", "●"],
  draining: ["moving", "◑"],
  removing: ["moving", "◑"],
  unknown: ["failed", "▲"],
};

/** `page` is an answer of GET /ocpp/hosts. Null without hosts. */
export function hostsPanel({ data: hosts, total }) {
  if (!total) return null;
  const chargers = hosts.reduce((sum, each) => sum + each.chargers, 0);
  return el(
    "section",
    { class: "panel", aria: { labelledby: "hosts" } },
    el("h2", { id: "hosts" }, "Hosts"),
    el("p", { class: "figure" }, el("strong", null, `${counted(total, "host")}`), ` · ${counted(chargers, "shared charger")}`, total > hosts.length && ` on the newest ${number(hosts.length)}`),
    el(
      "table",
      { class: "table", id: "hosts-table" },
      el("caption", { class: "unseen" }, "Hosts of shared chargers"),
      el("thead", null, el("tr", null, ["Host", "State", "Chargers", "Running", "Connected", "Lag", "Memory", "CPU", "Lines dropped", "Reported"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", null, hosts.map(row)),
    ),
  );
}

function row(host) {
  const isAdmin = session.me?.role === "admin";
  const organization = isAdmin ? `&organization=${encodeURIComponent(host.organization_id)}` : "";
  const target = link(`/dashboard?host_id=${encodeURIComponent(host.id)}${organization}`, host.id);
  target.dataset.key = `host ${host.id}`;
  const [kind, shape] = BADGES[host.state] ?? BADGES.unknown;
  const notes = [host.reason, ...host.short_of.map((text) => `short of ${text}`)].filter(Boolean);
  return el(
    "tr",
    { data: { host: host.id, state: host.state } },
    el("th", { scope: "row" }, target, isAdmin && el("span", { class: "muted" }, ` ${host.organization_id}`)),
    cell("State", el("span", { class: `badge ${kind}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), host.state), notes.map((text) => el("span", { class: "failed error-detail" }, text))),
    cell("Chargers", `${number(host.chargers)} of ${number(host.capacity)}`),
    cell("Running", number(host.running)),
    cell("Connected", number(host.connected)),
    cell("Lag", ms(host.lag_ms)),
    cell("Memory", host.memory_bytes == null ? "–" : `${number(Math.round(host.memory_bytes / MIB))} MiB`),
    cell("CPU", host.cpu_percent == null ? "–" : `${number(host.cpu_percent)} %`),
    cell("Lines dropped", number(host.lines_dropped)),
    cell("Reported", host.reported_at ? timeAgo(host.reported_at) : "not yet"),
  );
}

function cell(label, ...content) {
  return el("td", { data: { label } }, content);
}
