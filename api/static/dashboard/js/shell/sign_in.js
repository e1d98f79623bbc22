// Signing in: the first view, and the dialog over a view whose token is not valid any more.

import { open } from "../dialog.js";
import { el, fill } from "../el.js";
import { session } from "../session.js";
import { sentenceOf } from "./problems.js";

/** Show the form in place of a view. */
export function showSignIn(main) {
  document.title = "Sign in · Chargehand";
  const form = signInForm("Sign in");
  fill(
    main,
    el(
      "div",
      { class: "view sign-in" },
      el("h1", null, "Sign in"),
      el("p", null, "Paste a token of the API. It stays in this tab until you sign out or close the tab."),
      form,
      el(
        "details",
        null,
        el("summary", null, "Where do I get a token?"),
        el("p", null, "With ", el("code", null, "make run"), ", in a second terminal: ", el("code", null, ".venv/bin/chargehand token"), "."),
        el("p", null, "Elsewhere, from whoever runs this installation: it is the bearer token that a program sends to the API."),
      ),
    ),
  );
  form.querySelector("input").focus();
}

/** A dialog that stays until somebody has signed in or signed out; the view behind it is kept. */
export function signInDialog(title, text) {
  const form = signInForm("Sign in again", { cancel: el("button", { type: "button", class: "button", on: { click: () => session.signOut() } }, "Sign out") });
  const dialog = open(title, [el("p", null, text), form], { stays: true });
  form.querySelector("input").focus();
  return dialog;
}

/** A dialog that renews a token before it expires. */
export function renewDialog() {
  const cancel = el("button", { type: "button", class: "button" }, "Later");
  const form = signInForm("Sign in again", { cancel });
  const dialog = open("Sign in again", [el("p", null, "Paste a new token. What you see stays."), form]);
  cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("signed-in", () => dialog.close());
  form.querySelector("input").focus();
}

function signInForm(action, { cancel = null } = {}) {
  const input = el("input", { type: "password", name: "token", autocomplete: "off", spellcheck: "false", autocapitalize: "off", required: true });
  const problem = el("p", { class: "field-error", role: "alert", id: "token-error" });
  const act = el("button", { type: "submit", class: "button primary" }, action);
  const form = el("form", { novalidate: true }, el("label", { class: "field" }, el("span", null, "Token"), input), problem, el("div", { class: "dialog-buttons" }, cancel, act));
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    act.disabled = true;
    fill(problem);
    input.removeAttribute("aria-invalid");
    try {
      await session.signIn(input.value);
      form.dispatchEvent(new Event("signed-in"));
    } catch (error) {
      fill(problem, refusal(error));
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", problem.id);
      input.focus();
    } finally {
      act.disabled = false;
    }
  });
  return form;
}

function refusal(error) {
  if (error.status === 401) return "Chargehand refused the token: it is expired, was made for another installation, or is not complete.";
  return error.status || error.name === "NetworkError" ? sentenceOf(error) : error.message;
}
