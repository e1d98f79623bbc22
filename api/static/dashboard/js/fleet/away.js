// The state of the connection as the fleet shows it: what is on the page stays, faded, with its age; what acts is switched off.

import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";

const REASON = "Chargehand does not answer. Actions work again when it does.";

/** A note and a switch. `buttons()` are those that act. */
export function awayNote(table, buttons) {
  const node = el("div", { class: "note failed", role: "alert", hidden: true });
  let isAway = false;
  return {
    node,
    get reason() {
      return isAway ? REASON : null;
    },
    /** Show that the API is away, or is back. `loadedAt` is when the rows were read, in ms. */
    show(next, loadedAt) {
      if (next !== isAway) {
        isAway = next;
        node.hidden = !next;
        const age = loadedAt ? [" The rows are as of ", timeAgo(new Date(loadedAt).toISOString()), "."] : [];
        fill(node, next ? [REASON, ...age] : []);
        table.node.classList.toggle("fleet-away", next);
      }
      this.apply();
    },
    /** Again for buttons that are new. They keep the focus, so they are not `disabled`. */
    apply() {
      for (const button of buttons()) {
        if (isAway) {
          button.setAttribute("aria-disabled", "true");
          button.title = REASON;
        } else if (button.hasAttribute("aria-disabled")) {
          button.removeAttribute("aria-disabled");
          button.removeAttribute("title");
        }
      }
    },
  };
}
