// The workers: which are alive, what they serve and how busy they are.

import { timeAgo } from "../clock.js";
import { el } from "../el.js";
import { counted, number } from "../words.js";

export function workersPanel({ workers }) {
  const alive = workers.filter((each) => each.alive);
  const lost = workers.filter((each) => !each.alive);
  const busy = alive.reduce((sum, each) => sum + each.busy, 0);
  const threads = alive.reduce((sum, each) => sum + each.threads, 0);
  return el(
    "section",
    { class: "panel", aria: { labelledby: "workers" } },
    el("h2", { id: "workers" }, "Workers"),
    workers.length
      ? el(
          "p",
          { class: "figure" },
          el("strong", { class: alive.length ? "" : "failed" }, `${alive.length ? "" : "▲ "}${counted(alive.length, "worker")} alive`),
          alive.length > 0 && ` · ${number(busy)} of ${number(threads)} threads busy`,
          lost.length > 0 && el("span", { class: "failed" }, ` · ▲ ${number(lost.length)} not seen any more`),
        )
      : el("p", { class: "figure failed" }, "▲ No worker has reported in the last hour: commands are stored, and nothing carries them out."),
    workers.length > 0 && table([...lost, ...alive]),
  );
}

function table(workers) {
  return el(
    "table",
    { class: "table", id: "workers-table" },
    el("caption", { class: "unseen" }, "Workers of the last hour"),
    el("thead", null, el("tr", null, ["Worker", "State", "Serves", "Busy", "Tasks done", "Started", "Version"].map((text) => el("th", { scope: "col" }, text)))),
    el("tbody", null, workers.map(row)),
  );
}

function row(worker) {
  return el(
    "tr",
    { data: { worker: worker.name, alive: String(worker.alive) } },
    el("th", { scope: "row" }, worker.name),
    cell("State", worker.alive ? badge("running", "●", "alive") : [badge("failed", "▲", "not seen"), " since ", timeAgo(worker.seen_at, { plain: true })]),
    cell("Serves", worker.queues.length ? worker.queues.join(", ") : "nothing: it ends"),
    cell("Busy", worker.alive ? busy(worker) : "–"),
    cell("Tasks done", number(worker.tasks_done)),
    cell("Started", timeAgo(worker.started_at)),
    cell("Version", worker.version),
  );
}

function busy({ busy: now, threads, name }) {
  return [el("meter", { class: "meter small", min: 0, max: threads, value: now, aria: { label: `Busy threads of ${name}` } }), ` ${number(now)} of ${number(threads)}`];
}

function badge(kind, shape, word) {
  return el("span", { class: `badge ${kind}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), word);
}

function cell(label, ...content) {
  return el("td", { data: { label } }, content);
}
