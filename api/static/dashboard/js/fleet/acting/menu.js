// The menu behind a row's "⋯": one for the whole table, shown beside the button that opened it.

import { el, fill } from "../../el.js";

/** A menu; `open(button, items)` shows `[{text, run}]` below the button. */
export function rowMenu() {
  const node = el("div", { class: "fleet-menu", role: "menu", popover: "auto" });
  let opener = null;
  node.addEventListener("keydown", (event) => {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by) return;
    const items = [...node.children];
    items.at((items.indexOf(document.activeElement) + by) % items.length).focus();
    event.preventDefault();
  });
  return {
    node,
    open(button, items) {
      opener = button;
      fill(node, items.map(({ text, danger, run }) => item(text, danger, run, close)));
      node.showPopover();
      place(node, button.getBoundingClientRect());
      node.firstElementChild.focus();
    },
  };

  function close() {
    node.hidePopover();
    opener?.focus();
  }
}

function item(text, danger, run, close) {
  const press = () => {
    close();
    run();
  };
  return el("button", { type: "button", role: "menuitem", class: `fleet-menu-item${danger ? " danger" : ""}`, on: { click: press } }, text);
}

/** Below the button, or above it where the window ends; never beyond its right edge. */
function place(node, { left, top, bottom }) {
  const { offsetWidth: width, offsetHeight: height } = node;
  node.style.left = `${Math.max(8, Math.min(left, innerWidth - width - 8))}px`;
  node.style.top = `${bottom + height > innerHeight ? Math.max(8, top - height) : bottom}px`;
}
