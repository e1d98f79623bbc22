// The keys of the fleet. Enter and Space on a row are the table's own.

import { keys } from "../keys.js";

/** Bind them until the signal is aborted. `act(verb)` opens the question for what is selected, or for the row with the focus. */
export function bindShortcuts({ table, bar, select, act }, { signal }) {
  const ends = [
    keys.bind("/", "search the fleet", () => bar.search.focus()),
    keys.bind("j", "next row", () => table.step(1)),
    keys.bind("k", "previous row", () => table.step(-1)),
    keys.bind("ArrowDown", "next row", () => stepOrScroll(table, 1)),
    keys.bind("ArrowUp", "previous row", () => stepOrScroll(table, -1)),
    keys.bind("x", "select the row; Space too, and Enter opens it", select),
    keys.bind("s", "stop what is selected, after a question", () => act("stop")),
    keys.bind("t", "start what is selected, after a question", () => act("start")),
    keys.bind("r", "restart what is selected, after a question", () => act("restart")),
  ];
  signal.addEventListener("abort", () => ends.forEach((end) => end()));
}

/** The arrows scroll the page as ever, unless a row has the focus. */
function stepOrScroll(table, by) {
  if (table.current()) table.step(by);
  else scrollBy(0, by * 40);
}
