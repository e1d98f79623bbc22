// Open commands: how many, how old, on which queue, and which wait longest.

import { duration, timeAgo } from "../clock.js";
import { el } from "../el.js";
import { link } from "../router.js";
import { counted, number, stateBadge } from "../words.js";

const OLD_S = 60; // an open command that is older needs attention, unless the rate budget holds it back
const TYPES = {
  create_charger: "create",
  update_charger: "update",
  delete_charger: "delete",
  start_charger: "start",
  stop_charger: "stop",
  reset_charger: "restart",
};
const WAITS = {
  lifecycle: "starts, stops and restarts wait",
  provisioning: "creates, updates and deletes wait",
  maintenance: "nothing is observed, so no command becomes final",
};

export function commandsPanel({ commands }) {
  return el(
    "section",
    { class: "panel", aria: { labelledby: "open-commands" } },
    el("h2", { id: "open-commands" }, "Open commands"),
    summary(commands),
    queues(commands.by_queue),
    oldest(commands.oldest),
  );
}

/** The loudest thing on the page: a queue from which nobody takes messages. Null when each has a worker. */
export function unservedNote({ commands }) {
  const without = commands.by_queue.filter((queue) => !queue.served_by);
  if (!without.length) return null;
  return el(
    "div",
    { class: "note failed loud" },
    without.map(({ queue }) => el("p", null, el("strong", null, `No worker serves ${queue}`), `: ${WAITS[queue]}. Start a worker with -Q ${queue}.`)),
  );
}

function summary({ open, held, oldest_s: oldestS }) {
  if (!open) return el("p", { class: "figure" }, "No command is open.");
  const late = oldestS >= OLD_S && held < open;
  return el(
    "p",
    { class: "figure" },
    el("strong", { class: late ? "failed" : "" }, `${late ? "▲ " : ""}The oldest is open for ${duration(oldestS)}`),
    ` · ${number(open)} open`,
    held > 0 && ` · ${number(held)} of them wait for the rate budget of ECS`,
  );
}

function queues(queues) {
  const ages = queues[0]?.by_age ?? [];
  return el(
    "table",
    { class: "table" },
    el("caption", { class: "unseen" }, "Open commands by queue and age"),
    el(
      "thead",
      null,
      el(
        "tr",
        null,
        ["Queue", "Workers", "Open", "Oldest"].map((text) => el("th", { scope: "col" }, text)),
        ages.slice(1).map(({ older_than_s: s }) => el("th", { scope: "col", class: "numeric" }, `Over ${duration(s)}`)),
      ),
    ),
    el("tbody", null, queues.map(row)),
  );
}

function row({ queue, served_by: workers, open, oldest_s: oldestS, by_age: byAge }) {
  return el(
    "tr",
    { data: { queue } },
    el("th", { scope: "row" }, queue),
    cell("Workers", workers ? counted(workers, "worker") : el("strong", { class: "failed" }, "▲ none")),
    cell("Open", number(open)),
    cell("Oldest", duration(oldestS)),
    byAge.slice(1).map(({ older_than_s: s, count }) => el("td", { class: "numeric", data: { label: `Over ${duration(s)}` } }, number(count))),
  );
}

function cell(label, ...content) {
  return el("td", { data: { label } }, content);
}

function oldest(commands) {
  if (!commands.length) return null;
  return el(
    "details",
    { data: { key: "oldest" }, open: commands.some(({ attempts }) => attempts > 0) },
    el("summary", { data: { key: "oldest-summary" } }, `The ${commands.length === 1 ? "oldest one" : `${commands.length} oldest`}`),
    el(
      "table",
      { class: "table", id: "oldest-commands" },
      el("caption", { class: "unseen" }, "The commands that are open longest"),
      el("thead", null, el("tr", null, ["Charger", "Command", "Open since", "Attempts", "Waits because"].map((text) => el("th", { scope: "col" }, text)))),
      el("tbody", null, commands.map(oldRow)),
    ),
  );
}

function oldRow(command) {
  const target = link(`/dashboard/chargers/${encodeURIComponent(command.charger_id)}${organizationQuery(command)}`, command.identity);
  target.dataset.key = command.id;
  return el(
    "tr",
    null,
    el("th", { scope: "row" }, target, command.organization_id && el("span", { class: "muted" }, ` ${command.organization_id}`)),
    cell("Command", TYPES[command.event_type] ?? command.event_type, " ", stateBadge("command", command.status)),
    cell("Open since", timeAgo(command.created_at)),
    cell("Attempts", number(command.attempts)),
    cell("Waits because", command.reason ?? (command.status === "applied" ? "ECS has accepted it; it is not observed yet" : "no worker has taken it yet")),
  );
}

function organizationQuery({ organization_id: id }) {
  return id ? `?organization=${encodeURIComponent(id)}` : "";
}
