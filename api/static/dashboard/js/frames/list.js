// The rows of a log in a box that scrolls: follows the end, and keeps its place when somebody reads.

import { el } from "../el.js";
import { rowsOf } from "./exchanges.js";
import { isWaiting, rowNode, signatureOf, updateWaiting } from "./row.js";

const END_PX = 24; // so near to the end counts as there
const TOUCH_MS = 1000; // a scroll follows its wheel, finger, pointer or key within that time

/** `does`: {find(row), follows(), left(), reachedEnd()}; `left` when somebody scrolls up or opens a row. */
export function rowList(does) {
  const list = el("ol", { class: "frame-rows" });
  const before = el("div", { class: "frames-older" });
  const box = el("div", { class: "frames-box", tabindex: "0", role: "region", aria: { label: "The charger's log, the newest last" } }, before, list);
  const made = new Map(); // by key: {node, signature}
  const opened = new Set();
  let rows = [];
  let partial = false;
  let ownScroll = 0;
  let ownHeight = 0;
  let touchedAt = -Infinity;

  for (const input of ["wheel", "touchmove", "pointerdown", "keydown"]) {
    box.addEventListener(input, () => { touchedAt = performance.now(); }, { passive: true });
  }

  box.addEventListener("scroll", () => {
    if (ownScroll === box.scrollTop) return;
    if (does.follows() && wasLaidOut()) return toEnd();
    ownScroll = box.scrollTop;
    ownHeight = box.scrollHeight;
    if (isAtEnd()) does.reachedEnd();
    else does.left();
  });

  /** Rows get their height when they are drawn, which moves the others: nobody has scrolled. */
  function wasLaidOut() {
    return ownHeight !== box.scrollHeight && performance.now() - touchedAt > TOUCH_MS;
  }

  function isAtEnd() {
    return box.scrollHeight - box.scrollTop - box.clientHeight <= END_PX;
  }

  function toEnd() {
    box.scrollTop = box.scrollHeight;
    ownScroll = box.scrollTop;
    ownHeight = box.scrollHeight;
  }

  function toggle(key, open) {
    if (open === opened.has(key)) return;
    if (open) opened.add(key);
    else opened.delete(key);
    if (open) does.left();
  }

  /** Show the entries; what is shown already keeps its element, its focus and its place. */
  function update(entries, { partial: some, follow }) {
    partial = some;
    rows = rowsOf(entries);
    const anchor = follow ? null : anchorOf();
    const kept = new Set(rows.map((row) => row.key));
    for (const [key, { node }] of made) {
      if (kept.has(key)) continue;
      node.remove();
      made.delete(key);
    }
    let next = list.firstChild;
    for (const row of rows) {
      const before = made.get(row.key)?.node;
      const node = nodeOf(row);
      if (next === before && before) next = node; // it may have been made again
      if (node === next) next = next.nextSibling;
      else list.insertBefore(node, next);
    }
    if (follow) toEnd();
    else if (anchor) restore(anchor);
  }

  function nodeOf(row) {
    const signature = signatureOf(row, partial);
    const known = made.get(row.key);
    if (known?.signature === signature) return known.node;
    const node = rowNode(row, { partial, opened: opened.has(row.key), toggle, find: does.find });
    if (known) {
      const focused = known.node.contains(document.activeElement);
      known.node.replaceWith(node);
      if (focused) node.querySelector(".frame-name")?.focus();
    }
    made.set(row.key, { node, signature });
    return node;
  }

  /** Count on what waits for its answer. */
  function tick() {
    for (const row of rows) {
      if (isWaiting(row)) updateWaiting(made.get(row.key).node, row, partial);
    }
  }

  function anchorOf() {
    const top = box.getBoundingClientRect().top;
    for (const node of list.children) {
      const rect = node.getBoundingClientRect();
      if (rect.bottom > top) return { node, offset: rect.top };
    }
    return null;
  }

  function restore({ node, offset }) {
    if (!node.isConnected) return;
    box.scrollTop += node.getBoundingClientRect().top - offset;
    ownScroll = box.scrollTop;
  }

  /** The row that has the focus, else the one that was opened last. */
  function current() {
    const key = document.activeElement?.closest?.(".frame-row")?.dataset.key ?? [...opened].at(-1);
    return rows.find((row) => row.key === key) ?? null;
  }

  function move(step) {
    const buttons = [...list.querySelectorAll(".frame-name")];
    const at = buttons.indexOf(document.activeElement?.closest?.(".frame-row")?.querySelector(".frame-name"));
    const to = at < 0 ? buttons.length - 1 : Math.min(Math.max(at + step, 0), buttons.length - 1);
    buttons[to]?.focus();
    if (to >= 0) does.left();
  }

  return { node: box, before, update, tick, toEnd, current, move };
}
