// Copies a text to the clipboard. On plain http, other than this computer, a page may not.

import { toast } from "../../dialog.js";

export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast("Copied");
  } catch {
    toast(`The browser does not let the page copy. Select it instead: ${text}`, { kind: "failed" });
  }
}
