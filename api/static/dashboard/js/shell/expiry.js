// Says when the token is about to expire, and opens the sign-in dialog when it has.

import { clock, duration } from "../clock.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { session } from "../session.js";
import { renewDialog, signInDialog } from "./sign_in.js";

const SAID_BEFORE_S = 300;

/** Watch the token of the session; the note is shown in `node`. */
export function startExpiry(node) {
  let dialog = null;
  let said = false;
  const left = el("span");
  const note = el("div", { class: "note stale bar" }, el("span", null, "Your token expires in ", left, "."), " ", el("button", { type: "button", class: "button", on: { click: renewDialog } }, "Sign in again"));

  const check = () => {
    const leftS = session.me?.expires_at ? (Date.parse(session.me.expires_at) - clock.now()) / 1000 : Infinity;
    const soon = session.state === "in" && leftS < SAID_BEFORE_S;
    if (soon) fill(left, duration(leftS));
    if (soon && !said) {
      fill(node, note);
      announce("Your token expires in less than five minutes.");
    }
    if (!soon && said) fill(node);
    said = soon;
    if (leftS <= 0) session.expire();
  };
  session.on("change", () => {
    if (session.state === "expired") dialog ??= signInDialog("Sign in again", "The token is not valid any more. What you see stays, and what you requested goes on when you have signed in.");
    else {
      dialog?.close();
      dialog = null;
    }
    check();
  });
  setInterval(check, 1000);
  check();
}
