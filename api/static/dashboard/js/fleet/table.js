// The table: a head with sort buttons, and the rows of one page. It keeps a row's node as long as the charger is on the page.

import { el } from "../el.js";
import { checkStale, dropOldRequest, makeEntry, setMark, updateEntry } from "./row.js";

const HEADS = [
  { text: "Charger", sorts: ["identity", "-identity"], words: ["ascending", "descending"] },
  { text: "Desired → observed", sorts: ["-state_since", "state_since"], words: ["descending", "ascending"] },
  { text: "Link to the CSMS" },
  { text: "Location", class: "fleet-location" },
  { text: "Newest command" },
  { text: "Actions" },
];

/**
 * The table. `on` has what it calls: `sort(name)`, `act(verb, entry, button)`, `select(id, isSelected, isRange)`,
 * `selectPage(isSelected)`, `location(id)`, `open(id)`.
 */
export function fleetTable(on) {
  const entries = new Map(); // id → entry, in the order of the rows
  const page = el("input", { type: "checkbox", aria: { label: "Select the page" } });
  page.addEventListener("change", () => on.selectPage(page.checked));
  const heads = HEADS.map((head) => headCell(head, on));
  const body = el("tbody", {});
  const node = el(
    "table",
    { class: "table fleet-table" },
    el("caption", { class: "unseen" }, "Chargers"),
    el("thead", {}, el("tr", {}, el("td", { class: "fleet-select" }, el("label", { class: "fleet-box" }, page)), ...heads.map((head) => head.node))),
    body,
  );
  listen(body, entries, on);

  return {
    node,
    entries,
    rows: () => [...entries.values()].map((entry) => entry.row),
    /** Show these rows in this order. */
    show(rows) {
      const focused = document.activeElement;
      const left = new Set(entries.keys());
      const next = rows.map((row) => {
        left.delete(row.id);
        const entry = entries.get(row.id);
        if (!entry) return makeEntry(row);
        setMark(entry, null);
        updateEntry(entry, row);
        dropOldRequest(entry);
        return entry;
      });
      for (const id of left) entries.get(id).tr.remove();
      entries.clear();
      for (const entry of next) entries.set(entry.row.id, entry);
      arrange(body, next);
      for (const entry of next) checkStale(entry);
      if (focused !== document.activeElement && body.contains(focused)) focused.focus({ preventScroll: true });
    },
    showSort(sort) {
      for (const head of heads) head.show(sort);
    },
    showSelection(selection) {
      let selected = 0;
      for (const [id, entry] of entries) {
        const has = selection.has(id);
        entry.box.checked = has;
        entry.tr.classList.toggle("fleet-selected", has);
        selected += Number(has);
      }
      page.checked = entries.size > 0 && selected === entries.size;
      page.indeterminate = selected > 0 && selected < entries.size;
    },
    /** The entry that has the focus, itself or in one of its controls. */
    current: () => entries.get(document.activeElement?.closest?.("tr[data-id]")?.dataset.id) ?? null,
    /** Move the focus by so many rows; from outside, to the first or the last. */
    step(by) {
      const all = [...entries.values()];
      const at = all.indexOf(this.current());
      const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, at + by));
      all[next]?.tr.focus();
      all[next]?.tr.scrollIntoView({ block: "nearest" });
    },
  };
}

/** Put the rows into this order, moving only those that stand elsewhere. */
function arrange(body, entries) {
  let place = body.firstChild;
  for (const { tr } of entries) {
    if (tr === place) place = place.nextSibling;
    else body.insertBefore(tr, place);
  }
}

function headCell({ text, sorts, words, class: name }, on) {
  if (!sorts) return { node: el("th", { scope: "col", class: name }, text), show: () => {} };
  const arrow = el("span", { class: "fleet-arrow", aria: { hidden: "true" } });
  const button = el("button", { type: "button", class: "fleet-sort" }, text, arrow);
  const node = el("th", { scope: "col" }, button);
  let current = -1;
  button.addEventListener("click", () => on.sort(sorts[current === 0 ? 1 : 0]));
  return {
    node,
    show(sort) {
      current = sorts.indexOf(sort);
      if (current < 0) node.removeAttribute("aria-sort");
      else node.setAttribute("aria-sort", words[current]);
      arrow.textContent = current < 0 ? "" : words[current] === "ascending" ? " ▲" : " ▼";
    },
  };
}

function listen(body, entries, on) {
  const entryOf = (target) => entries.get(target.closest("tr")?.dataset.id);
  let isRange = false; // a change event does not know the shift key; the click before it does
  body.addEventListener("click", (event) => {
    isRange = event.shiftKey;
    const button = event.target.closest("button");
    const entry = entryOf(event.target);
    if (!button || !entry) return;
    if (button.dataset.act) on.act(button.dataset.act, entry, button);
    if (button.dataset.location) on.location(button.dataset.location);
  });
  body.addEventListener("change", (event) => {
    const entry = entryOf(event.target);
    if (entry) on.select(entry.row.id, event.target.checked, isRange);
  });
  body.addEventListener("keydown", (event) => {
    if (event.target.tagName !== "TR") return; // a control in the row has its own keys
    const entry = entryOf(event.target);
    if (event.key === "Enter") on.open(entry.row.id);
    else if (event.key === " ") on.select(entry.row.id, !entry.box.checked, event.shiftKey);
    else return;
    event.preventDefault();
  });
}
