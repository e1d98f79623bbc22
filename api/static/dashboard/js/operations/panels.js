// The rate budget, maintenance, the control link, and the organizations whose commands wait.

import { duration, timeAgo } from "../clock.js";
import { el } from "../el.js";
import { link } from "../router.js";
import { counted, number } from "../words.js";

const GROUPS = {
  service_changes: "Changes of services",
  service_reads: "Reads of services",
  task_changes: "Stops of tasks",
  task_reads: "Reads of tasks",
  definition_changes: "New task definitions",
  definition_reads: "Reads of task definitions",
};
const TASKS = {
  "maintenance.sweep": "Sweep: publish open commands again",
  "maintenance.observe": "Observe: read what ECS runs",
  "maintenance.keep_hosts": "Hosts: create, follow and remove their services",
  "maintenance.rollouts": "Rollouts: bring new settings",
  "maintenance.run_jobs": "Jobs: work off requests for many chargers",
  "maintenance.expire": "Delete locations and chargers whose time is over",
  "maintenance.read_logs": "Read the chargers' logs",
  "maintenance.clean_up": "Delete what is too old",
};

/** Used and allowed calls per second, and what waits. */
export function budgetPanel({ budget, workers }) {
  return panel(
    "Rate budget of ECS",
    budget.length
      ? table("Calls per second by quota", ["Quota", "Used per second", "Burst", "Waiting", "Throttled in 10 min"], budget.map(quota))
      : el("p", null, workers.some((each) => each.alive) ? "No worker has a rate budget: ECS_BUDGET_SHARE is 0, or the ECS is embedded." : "Not known: no worker is alive."),
  );
}

function quota({ group, per_second: rate, burst, used_per_second: used, waiting, throttled_10_min: throttled, eta_s: eta }) {
  return el(
    "tr",
    { data: { group } },
    el("th", { scope: "row" }, GROUPS[group] ?? group),
    cell(
      "Used per second",
      el("meter", { class: "meter small", min: 0, max: rate, value: Math.min(used, rate), aria: { label: `${GROUPS[group] ?? group}: calls per second of those allowed` } }),
      ` ${number(used)} of ${number(rate)}`,
    ),
    cell("Burst", number(burst)),
    cell("Waiting", waiting ? el("strong", null, `${number(waiting)}, about ${duration(eta)}`) : "none"),
    cell("Throttled", throttled ? el("strong", { class: "failed" }, `▲ ${number(throttled)}`) : "none"),
  );
}

/** The last run of each maintenance task. */
export function maintenancePanel({ maintenance }) {
  const late = maintenance.filter((each) => each.late).length;
  return panel(
    "Maintenance",
    el("p", { class: "figure" }, late ? el("strong", { class: "failed" }, `▲ ${counted(late, "task")} late`) : "Every task runs on time."),
    table("Maintenance tasks", ["Task", "Succeeded", "Every", "Took", "Failures"], maintenance.map(task)),
  );
}

function task({ task: name, every_s: every, age_s: age, duration_s: took, failures, late, error }) {
  const succeeded = age == null ? "not yet" : `${duration(age)} ago`;
  return el(
    "tr",
    { data: { task: name, late: String(late) } },
    el("th", { scope: "row" }, TASKS[name] ?? name, error && el("span", { class: "failed error-detail" }, error)),
    cell("Succeeded", late ? el("strong", { class: "failed" }, `▲ ${succeeded}`) : succeeded),
    cell("Every", duration(every)),
    cell("Took", took == null ? "–" : `${number(took)} s`),
    cell("Failures", number(failures)),
  );
}

/** The processes of the control link. */
export function linksPanel({ links }) {
  if (!links.length) return null;
  return panel("Control link", table("Processes of the control link", ["Process", "State", "Sessions", "Seen"], links.map(process)));
}

function process({ id, sessions, seen_at: seenAt, alive }) {
  return el(
    "tr",
    { data: { link: id, alive: String(alive) } },
    el("th", { scope: "row" }, id),
    cell("State", el("span", { class: `badge ${alive ? "running" : "failed"}` }, el("span", { class: "shape", aria: { hidden: true } }, alive ? "●" : "▲"), alive ? "alive" : "not seen")),
    cell("Sessions", number(sessions)),
    cell("Seen", timeAgo(seenAt)),
  );
}

/** For an admin who has chosen no organization: whose commands are open, and whose wait for the budget. */
export function organizationsPanel({ waiting_by_organization: organizations }) {
  if (!organizations?.length) return null;
  return panel("Open commands by organization", table("Open commands by organization", ["Organization", "Open", "Held by the rate budget"], organizations.map(organization)));
}

function organization({ organization_id: id, open, held }) {
  const target = link(`/dashboard?organization=${encodeURIComponent(id)}`, id);
  target.dataset.key = `organization ${id}`;
  return el("tr", null, el("th", { scope: "row" }, target), cell("Open", number(open)), cell("Held", number(held)));
}

function panel(title, ...content) {
  const id = title.toLowerCase().replaceAll(" ", "-");
  return el("section", { class: "panel", aria: { labelledby: id } }, el("h2", { id }, title), content);
}

function table(caption, headings, rows) {
  return el(
    "table",
    { class: "table" },
    el("caption", { class: "unseen" }, caption),
    el("thead", null, el("tr", null, headings.map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", null, rows),
  );
}

function cell(label, ...content) {
  return el("td", { data: { label } }, content);
}
