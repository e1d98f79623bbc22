// The bar of the selection: how many are selected, what can be done with them, and the step from the page to all that match.

import { el, fill } from "../../el.js";
import { counted, number } from "../../words.js";

const BUTTONS = [
  ["start", "Start"],
  ["stop", "Stop"],
  ["restart", "Restart"],
  ["delete", "Delete"],
];

/** A bar with `on.act(verb)`, `on.all()` and `on.clear()`. */
export function selectionBar(on) {
  const text = el("span", { class: "fleet-selected-count" });
  const all = el("button", { type: "button", class: "button quiet", on: { click: on.all } });
  const buttons = BUTTONS.map(([verb, label]) =>
    el("button", { type: "button", class: `button${verb === "delete" ? " danger" : ""}`, data: { act: verb }, on: { click: () => on.act(verb) } }, label),
  );
  const clear = el("button", { type: "button", class: "button quiet", on: { click: on.clear } }, "Clear selection");
  const node = el("div", { class: "toolbar fleet-selection", role: "toolbar", aria: { label: "Selected chargers" }, hidden: true }, text, ...buttons, all, clear);
  return {
    node,
    buttons,
    /** `list` is what is shown: the number on the page, and the number that match. */
    show(selection, { total, count, onPage }) {
      const { size } = selection;
      const hadFocus = node.contains(document.activeElement);
      node.hidden = size === 0;
      if (node.hidden && hadFocus) on.left();
      const elsewhere = selection.all ? 0 : size - onPage;
      fill(text, `${number(size)} selected`, elsewhere ? `, ${number(elsewhere)} of them not on this page` : "", selection.all ? ": all that match" : "");
      all.hidden = Boolean(selection.all) || total <= count || onPage < count;
      all.textContent = `Select all ${counted(total, "charger")} that match`;
    },
  };
}
