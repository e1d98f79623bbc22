// Copies a text to the clipboard, and says so.

import { toClipboard } from "../../clipboard.js";
import { toast } from "../../dialog.js";

export async function copyText(text) {
  try {
    await toClipboard(text);
    toast("Copied");
  } catch {
    toast(`The browser does not let the page copy. Select it instead: ${text}`, { kind: "failed" });
  }
}
