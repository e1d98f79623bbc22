// What the fleet can do: the buttons of a row, the bar of the selection, the keys, and the dialog that creates chargers.

import { announce, toast } from "../../dialog.js";
import { el } from "../../el.js";
import { jobProgress } from "../../jobs/progress.js";
import { navigate } from "../../router.js";
import { counted } from "../../words.js";
import { setRequested } from "../row.js";
import { copyText } from "./copy.js";
import { createDialog } from "./create.js";
import { actOnMany } from "./many.js";
import { rowMenu } from "./menu.js";
import { actOnOne } from "./one.js";
import { selectionBar } from "./toolbar.js";

/**
 * The nodes `bar`, `menu`, `progress`, `createButton`, all `buttons` that act, and what the rows and keys call.
 * `away()` gives the reason why nothing can be done now, or null; `matching()` the filters of the list and how many match;
 * `created()` is called when chargers were created.
 */
export function actingOn({ table, selection, away, matching, created, signal }) {
  const menu = rowMenu();
  const progress = el("div", { class: "fleet-jobs" });
  const createButton = el("button", { type: "button", class: "button primary", on: { click: create } }, "Create");
  const bar = selectionBar({
    act: onSelection,
    all: () => selection.selectAll(...matching()),
    clear: () => selection.clear(),
    left: () => table.node.querySelector("input")?.focus(),
  });
  return {
    menu,
    progress,
    createButton,
    bar,
    buttons: [createButton, ...bar.buttons],
    create,
    onRow,
    byKey,
  };

  function isAway() {
    const reason = away();
    if (reason) toast(reason, { kind: "failed" });
    return Boolean(reason);
  }

  async function create() {
    if (isAway()) return;
    try {
      const chargers = await createDialog();
      if (chargers.length) created(chargers);
    } catch (error) {
      toast(`The catalog cannot be read: ${error.detail ?? error.message}`, { kind: "failed" });
    }
  }

  function onRow(verb, entry, button) {
    const { row } = entry;
    if (verb !== "menu") {
      if (!isAway()) one(verb, entry);
      return;
    }
    menu.open(button, [
      { text: "Open", run: () => navigate(`/dashboard/chargers/${encodeURIComponent(row.id)}`) },
      { text: "Copy the id", run: () => copyText(row.id) },
      { text: "Copy the identity", run: () => copyText(row.identity) },
      { text: "Delete …", danger: true, run: () => isAway() || one("delete", entry) },
    ]);
  }

  function one(verb, entry, more = {}) {
    return actOnOne(verb, entry.row, { requested: (shown) => setRequested(entry, shown), ...more });
  }

  /** A key never acts by itself: it opens the question, for what is selected or else for the row with the focus. */
  function byKey(verb) {
    if (selection.size) return onSelection(verb);
    const entry = table.current();
    if (!entry) return announce("Select a charger first, with x.");
    return isAway() ? undefined : one(verb, entry, { hasQuestion: true });
  }

  async function onSelection(verb) {
    if (isAway()) return;
    const { ids } = selection;
    if (!selection.all && ids.length === 1 && table.entries.has(ids[0])) {
      await one(verb, table.entries.get(ids[0]), { hasQuestion: true });
      return;
    }
    const chosen = selection.all ? { filters: selection.all.filters } : { charger_ids: ids };
    const job = await actOnMany(verb, chosen);
    if (!job) return;
    for (const [id, entry] of table.entries) {
      if (selection.has(id) && !isAlready(verb, entry.row)) setRequested(entry, verb);
    }
    selection.clear();
    showJob(job, verb);
  }

  function showJob({ job_id: id, total }, verb) {
    progress.prepend(jobProgress(id, { signal }));
    announce(`${verb} requested for ${counted(total, "charger")}`);
  }
}

/** Whether a job leaves the charger out, as far as its row shows: it is as requested, or has no runtime. */
function isAlready(verb, { status, runtime: { desired, observed } }) {
  if (verb === "delete") return false;
  const as = { start: "running", stop: "stopped" }[verb];
  return status !== "READY" || (desired === as && observed === as);
}
