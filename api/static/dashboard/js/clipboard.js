// The clipboard. The browser gives it to pages from https or localhost only; in others the text is copied by a field.

import { el } from "./el.js";

/** Raises an error when the browser does not let the page copy. */
export async function toClipboard(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else copyByField(text);
}

function copyByField(text) {
  const field = el("textarea", { class: "unseen", readonly: true, value: text });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  if (!done) throw new Error("not copied");
}
