// Saves what was downloaded.

import { el } from "./el.js";

/** Save the blob as a file. */
export function save(blob, name) {
  const href = URL.createObjectURL(blob);
  const anchor = el("a", { href, download: name, hidden: true });
  document.body.append(anchor);
  anchor.click();
  anchor.remove();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
