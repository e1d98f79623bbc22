// The commands and actions of a charger, newest first, each with its steps.

import { clock, duration, timeAgo } from "../clock.js";
import { el } from "../el.js";
import { query, setQuery } from "../router.js";
import { ms, number, stateBadge } from "../words.js";
import { draw } from "./draw.js";
import { codeLink } from "./errors.js";
import { isOpenAction, isOpenCommand, stepsOfAction, stepsOfCommand, titleOf, waitOf } from "./steps.js";

const SHOWN = { all: "Both", commands: "Commands", actions: "Actions" };

/** `update()` draws the model again; the query has `show`: commands or actions, both without it. */
export function makeTimeline(model) {
  const list = el("ol", { class: "timeline" });
  const empty = el("p", { class: "muted" });
  const older = el("button", { class: "button quiet", type: "button", on: { click: readOlder } }, "Load older");
  const filters = Object.entries(SHOWN).map(([name, label]) =>
    el("button", { class: "chip", type: "button", data: { show: name }, on: { click: () => choose(name) } }, label),
  );
  const group = el("div", { class: "toolbar", role: "group", aria: { label: "Show" } }, filters);
  const node = el("section", { class: "panel", aria: { labelledby: "timeline-title" } },
    el("div", { class: "panel-head" }, el("h2", { id: "timeline-title" }, "Commands and actions"), group),
    list, empty, older);
  /** @type {Map<string, HTMLElement>} what is shown, by id */
  const entries = new Map();
  /** The ids of those that a person has opened or closed; the others are open while they are new or going on. */
  const touched = new Set();
  return { node, update };

  function choose(name) {
    setQuery({ show: name === "all" ? null : name }, { replace: true });
    update();
  }

  function update() {
    const shown = SHOWN[query().get("show")] ? query().get("show") : "all";
    for (const button of filters) button.setAttribute("aria-pressed", String(button.dataset.show === shown));
    const lists = listsOf(model, shown);
    // A list that is complete from noon on says nothing about the morning, so neither does the other one.
    const since = lists.map(({ pages }) => pages.since()).sort().at(-1);
    const rows = lists
      .flatMap(({ pages, kind }) => pages.rows.map((row) => ({ row, kind, isOpen: kind.isOpen(row) })))
      .filter(({ row, isOpen }) => isOpen || row.created_at >= since)
      .sort((a, b) => (a.row.created_at < b.row.created_at ? 1 : -1));
    place(rows.map((each, index) => entryOf(each, index === 0)));
    older.hidden = !lists.some(({ pages }) => pages.hasOlder);
    const isRead = lists.every(({ pages }) => pages.isRead);
    draw(empty, [rows.length, isRead, shown], () => [rows.length ? null : isRead ? "None yet." : "Loading."]);
  }

  function place(nodes) {
    const kept = new Set(nodes);
    for (const [id, each] of entries) if (!kept.has(each)) entries.delete(id);
    for (const each of [...list.children]) if (!kept.has(each)) each.remove();
    nodes.forEach((each, index) => list.children[index] === each || list.insertBefore(each, list.children[index]));
  }

  function entryOf({ row, kind, isOpen }, isFirst) {
    let entry = entries.get(row.id);
    if (!entry) {
      const body = el("div", { class: "steps-of" });
      entry = el("li", { id: `${kind.name}-${row.id}` },
        el("details", {}, el("summary", { on: { click: () => touched.add(row.id) } }), body));
      entries.set(row.id, entry);
    }
    if (!touched.has(row.id)) entry.firstChild.open = isOpen || isFirst;
    const [summary, body] = entry.firstChild.children;
    draw(summary, row, () => headOf(row, kind, isOpen));
    draw(body, row, () => [stepList(kind.steps(row, clock.now()), row, reveal)]);
    return entry;
  }

  async function readOlder() {
    const shown = query().get("show") ?? "all";
    const lists = listsOf(model, shown).filter(({ pages }) => pages.hasOlder);
    const newest = lists.map(({ pages }) => pages.since()).sort().at(-1);
    older.disabled = true;
    try {
      await Promise.all(lists.filter(({ pages }) => pages.since() === newest).map(({ pages }) => pages.readOlder()));
      older.textContent = "Load older";
    } catch (error) {
      older.textContent = `Not loaded: ${error.message}. Try again`;
    }
    older.disabled = false;
  }

  /** Opens the command of this id, and goes there. */
  function reveal(id) {
    const entry = entries.get(id);
    if (!entry) return;
    touched.add(id);
    entry.firstChild.open = true;
    entry.querySelector("summary").focus();
    entry.scrollIntoView({ block: "nearest" });
  }
}

const COMMANDS = { name: "command", isOpen: isOpenCommand, steps: stepsOfCommand };
const ACTIONS = { name: "action", isOpen: isOpenAction, steps: stepsOfAction };

function listsOf(model, shown) {
  return [
    shown !== "actions" && { pages: model.commands, kind: COMMANDS },
    shown !== "commands" && { pages: model.actions, kind: ACTIONS },
  ].filter(Boolean);
}

function headOf(row, kind, isOpen) {
  const lasted = row.finished_at && Date.parse(row.finished_at) - Date.parse(row.created_at);
  const why = isOpen && kind === COMMANDS ? waitOf(row) : (row.error?.message ?? row.reason);
  return [
    el("strong", {}, titleOf(row)),
    " ",
    stateBadge(kind.name, row.status),
    row.finished_at ? el("span", {}, ` in ${span(lasted)}`) : null,
    el("span", { class: "muted" }, ` by ${row.requested_by}, `, timeAgo(row.created_at)),
    why ? el("span", { class: isOpen ? "why" : "why ended" }, why) : null,
  ];
}

/** The steps, with a bar for the time until each of them. */
function stepList(steps, row, reveal) {
  const total = Math.max(1, ...steps.map(({ at }) => at));
  return el("ol", { class: "steps" }, steps.map((step, index) => {
    const before = index ? steps[index - 1].at : 0;
    const share = { left: `${(before / total) * 100}%`, width: `${((step.at - before) / total) * 100}%` };
    return el("li", { class: step.isOpen ? "open" : "" },
      el("span", { class: "offset" }, step.isOpen ? "now" : span(step.at)),
      el("span", { class: "what" }, el("b", {}, step.name), more(step.more, reveal)),
      index ? el("span", { class: "wait", aria: { hidden: "true" } }, el("span", { style: share })) : null);
  }));
}

function more(items, reveal) {
  return (items ?? []).filter(Boolean).map((item) => {
    if (typeof item === "string") return ` · ${item}`;
    if (item.code) return [" · ", codeLink(item.code)];
    if (item.since) return [" · held back ", timeAgo(item.since)];
    if (item.until) return [` · ${item.word ?? "next attempt"} `, timeAgo(item.until)];
    if (item.command) {
      const go = (event) => { event.preventDefault(); reveal(item.command); };
      return [" by ", el("a", { href: `#command-${item.command}`, on: { click: go } }, "a newer command")];
    }
    return el("span", { class: "result" }, inWords(item.json));
  });
}

/** What the charger answered, without what it does not know. */
function inWords(result) {
  const known = Object.entries(result).filter(([, value]) => value != null);
  return known.map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(" · ");
}

/** "41 ms", "1.3 s", "1 min 20 s". */
function span(milliseconds) {
  if (milliseconds < 1000) return ms(Math.round(milliseconds));
  if (milliseconds < 10_000) return `${number(Math.round(milliseconds / 100) / 10)} s`;
  return duration(Math.round(milliseconds / 1000));
}
