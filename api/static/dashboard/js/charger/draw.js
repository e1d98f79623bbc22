// Drawing again what has changed, and not more often than needed.

import { fill } from "../el.js";

/** What each node shows: the key of `draw`. */
const drawn = new WeakMap();

/**
 * Fill `node` with what `make()` returns, if `key` is not what it was the last time. What had the focus has it again, if
 * it is still there: an element is known by its `data-focus`.
 */
export function draw(node, key, make) {
  const text = JSON.stringify(key);
  if (drawn.get(node) === text) return;
  drawn.set(node, text);
  const name = node.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  fill(node, make());
  if (name) node.querySelector(`[data-focus="${CSS.escape(name)}"]`)?.focus();
}

/**
 * A function that calls `run` at once, and again at most once in `everyMs`: calls that come meanwhile are one more run
 * afterwards. No two runs overlap, and none begins when `signal` is aborted.
 */
export function paced(run, everyMs, signal) {
  let isBusy = false;
  let isDue = false;
  return async function next() {
    isDue = true;
    if (isBusy) return;
    isBusy = true;
    while (isDue && !signal.aborted) {
      isDue = false;
      const pause = new Promise((resolve) => setTimeout(resolve, everyMs));
      await run();
      await pause;
    }
    isBusy = false;
  };
}
