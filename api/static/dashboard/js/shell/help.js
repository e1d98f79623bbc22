// The help dialog: the keys, and how the page behaves.

import { clock } from "../clock.js";
import { open } from "../dialog.js";
import { el } from "../el.js";
import { keys } from "../keys.js";
import { session } from "../session.js";

/** Open the help. */
export function showHelp() {
  const close = el("button", { type: "button", class: "button" }, "Close");
  const rows = keys.list().map(({ key, what }) => el("tr", null, el("th", { scope: "row" }, key.split(" ").map((each) => [el("kbd", null, named(each)), " "])), el("td", null, what)));
  const dialog = open("Help", [
    el("table", { class: "table plain" }, el("caption", { class: "unseen" }, "Keys"), el("tbody", null, rows)),
    choice("Single keys act while no field has the focus", keys.on, (on) => (keys.on = on)),
    choice("Show absolute times", clock.absolute, (on) => (clock.absolute = on)),
    el("p", null, el("a", { href: "/docs" }, "The API's page"), session.me?.version ? ` · Chargehand ${session.me.version}` : null),
    el("div", { class: "dialog-buttons" }, close),
  ]);
  close.addEventListener("click", () => dialog.close());
  close.focus();
}

function choice(text, on, change) {
  return el("p", null, el("label", { class: "choice" }, el("input", { type: "checkbox", checked: on, on: { change: ({ target }) => change(target.checked) } }), " ", text));
}

function named(key) {
  return { Escape: "Esc", ArrowDown: "↓", ArrowUp: "↑", " ": "Space" }[key] ?? key;
}
