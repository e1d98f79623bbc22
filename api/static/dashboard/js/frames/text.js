// The whole text of a frame: readable, selectable, to copy. It is text whatever it contains.

import { toClipboard } from "../clipboard.js";
import { localTime } from "../clock.js";
import { announce, toast } from "../dialog.js";
import { el, fill } from "../el.js";
import { number } from "../words.js";

const SHOWN_AT_ONCE = 4000; // characters

/** A frame with its direction and time, its text with indents, and buttons to copy it. */
export function frameBlock(entry) {
  const text = pretty(entry.message ?? "");
  const pre = el("pre", { class: "frame-message", tabindex: "0" }, text.slice(0, SHOWN_AT_ONCE));
  const rest = text.length > SHOWN_AT_ONCE;
  const all = rest && el("button", { type: "button", class: "button", on: { click: () => (fill(pre, text), all.remove(), pre.focus()) } }, `Show all ${number(text.length)} characters`);
  const head = [
    entry.direction === "cp_to_csms" ? "→ to the CSMS" : "← from the CSMS",
    ` at ${localTime(entry.timestamp)} (${entry.timestamp})`,
    entry.truncated ? ", cut by the API" : "",
  ];
  return el("div", { class: "frame-block" },
    el("p", { class: "muted" }, head),
    pre,
    el("div", { class: "toolbar" }, all,
      el("button", { type: "button", class: "button", on: { click: () => copy(entry.message ?? "", "the frame") } }, "Copy"),
      el("button", { type: "button", class: "button", on: { click: () => copy(JSON.stringify(entry, null, 2), "the entry as JSON") } }, "Copy as JSON")));
}

/** The text with indents if it is JSON, else as it is. */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** Copy the text and say so. */
export async function copy(text, what) {
  try {
    await toClipboard(text);
    announce(`Copied ${what}`);
    toast(`Copied ${what}.`);
  } catch {
    toast("The browser does not let this page copy: select the text and copy it.", { kind: "failed" });
  }
}
