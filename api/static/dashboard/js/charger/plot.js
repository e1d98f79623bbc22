// A plot of one quantity over the last minutes: a line, and its range in words.

import { duration } from "../clock.js";
import { el, fill, svg } from "../el.js";
import { MAX_AGE_MS } from "./history.js";

const WIDTH = 240;
const HEIGHT = 48;
const EDGE = 2; // the line at the top and the bottom is not cut

/** `inWords(value)` gives it with its unit; a value that `jumps` holds until the next one. `show(points, isLive)` takes [{at, value}], oldest first, null if not known. */
export function makePlot(label, inWords, { jumps = false } = {}) {
  const line = svg("path", {});
  const picture = svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" }, line);
  const caption = el("figcaption", { class: "muted" });
  const node = el("figure", { class: "plot" }, picture, caption);
  return { node, show };

  function show(points, isLive) {
    const values = points.map(({ value }) => value).filter((value) => value != null);
    node.hidden = values.length < 2;
    if (node.hidden) return;
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const until = isLive ? performance.now() : points.at(-1).at; // a value holds until the next report
    const from = Math.max(points[0].at, until - MAX_AGE_MS);
    const x = (at) => (((at - from) / Math.max(until - from, 1)) * WIDTH).toFixed(1);
    const y = (value) => (HEIGHT - EDGE - ((value - low) / (high - low || 1)) * (HEIGHT - 2 * EDGE)).toFixed(1);
    line.setAttribute("d", path([...points, { at: until, value: points.at(-1).value }], x, y, jumps));
    const range = inWords(low) === inWords(high) ? `always ${inWords(low)}` : `${inWords(low)} to ${inWords(high)}`;
    const text = `${label}, last ${duration((until - from) / 1000)}: ${range}`;
    picture.setAttribute("aria-label", `${text}, now ${inWords(values.at(-1))}`);
    if (caption.textContent !== text) fill(caption, text);
  }
}

/** The line is interrupted where a value is not known. */
function path(points, x, y, jumps) {
  let pen = "M";
  const moves = points.map(({ at, value }) => {
    const place = value == null ? "" : pen === "H" ? `H${x(at)}V${y(value)}` : `${pen}${x(at)} ${y(value)}`;
    pen = value == null ? "M" : jumps ? "H" : "L";
    return place;
  });
  return moves.join("");
}
