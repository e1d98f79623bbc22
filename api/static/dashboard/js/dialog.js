// Dialogs, messages that pass, and what is read out.

import { el, fill } from "./el.js";
import { problemText } from "./shell/problems.js";

const TOAST_S = 8;
let serial = 0;

/**
 * A question. True when the action was pressed. Cancel has the focus, and Enter never acts.
 * `body` is a node, a text or an array; `type` is a text that must be typed before the action can be pressed.
 */
export function confirmDialog({ title, body, action, danger = false, type = null }) {
  return new Promise((resolve) => {
    const act = el("button", { type: "button", class: `button ${danger ? "danger" : "primary"}`, disabled: type !== null }, action);
    const cancel = el("button", { type: "button", class: "button", autofocus: true }, "Cancel");
    const typed = type === null ? null : typeField(type, (fits) => (act.disabled = !fits));
    const dialog = open(title, [el("div", { class: "dialog-body" }, body), typed, el("div", { class: "dialog-buttons" }, cancel, act)]);
    let answer = false;
    act.addEventListener("click", () => {
      answer = true;
      dialog.close();
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(answer));
  });
}

/**
 * A form. `submit(formData)` is awaited; its result is returned, null after Cancel. The items of an ApiError are shown
 * beside the fields whose `name` is the end of their `loc`, anything else above the buttons.
 */
export function formDialog({ title, body, action, danger = false, submit }) {
  return new Promise((resolve) => {
    const act = el("button", { type: "submit", class: `button ${danger ? "danger" : "primary"}` }, action);
    const cancel = el("button", { type: "button", class: "button" }, "Cancel");
    const problem = el("div", { class: "note failed", role: "alert", hidden: true });
    const form = el("form", { novalidate: true }, el("div", { class: "dialog-body" }, body), problem, el("div", { class: "dialog-buttons" }, cancel, act));
    const dialog = open(title, form);
    let answer = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      act.disabled = true;
      clearFieldErrors(form);
      problem.hidden = true;
      try {
        answer = await submit(new FormData(form));
        dialog.close();
      } catch (error) {
        showFormError(form, problem, error);
      } finally {
        act.disabled = false;
      }
    });
    cancel.addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => resolve(answer));
    form.querySelector("input, select, textarea")?.focus();
  });
}

/** Show the error of a request in a form: its items beside their fields, all else in `problem`. */
export function showFormError(form, problem, error) {
  const rest = (error.items ?? []).filter((item) => !showBesideField(form, item));
  const shown = (error.items ?? []).length - rest.length;
  if (!shown || rest.length) {
    fill(problem, shown ? rest.map(({ loc, msg }) => el("p", null, `${(loc ?? []).slice(1).join(".")}: ${msg}`)) : problemText(error));
    problem.hidden = false;
  }
  form.querySelector("[aria-invalid=true]")?.focus();
}

/** Remove what showFormError has put beside fields. */
export function clearFieldErrors(form) {
  for (const each of form.querySelectorAll(".field-error")) each.remove();
  for (const each of form.querySelectorAll("[aria-invalid]")) {
    each.removeAttribute("aria-invalid");
    each.removeAttribute("aria-describedby");
  }
}

/** A message that passes; `kind` "failed" stays until it is closed. */
export function toast(text, { href, label, kind = "done" } = {}) {
  const close = el("button", { type: "button", class: "button quiet", aria: { label: "Close this message" } }, "×");
  const shown = el("div", { class: `toast ${kind}`, role: kind === "failed" ? "alert" : "status" }, el("span", null, text), href && el("a", { href }, label ?? "Show"), close);
  const region = document.getElementById("toasts");
  region.append(shown);
  close.addEventListener("click", () => shown.remove());
  if (kind === "failed") return;
  const pass = () => (shown.matches(":hover, :focus-within") ? setTimeout(pass, 1000) : shown.remove());
  setTimeout(pass, TOAST_S * 1000);
}

/** Have a screen reader say the text when it has time. */
export function announce(text) {
  fill(document.getElementById("announcements"), text);
}

/** A modal dialog with this content; removed when it is closed. With `stays`, it outlives the view and ignores Escape. */
export function open(title, content, { stays = false } = {}) {
  const id = `dialog-${++serial}`;
  const before = document.activeElement;
  const dialog = el("dialog", { class: "dialog", aria: { labelledby: id }, data: { stays: stays ? "" : null } }, el("h2", { id }, title), content);
  document.body.append(dialog);
  if (stays) dialog.addEventListener("cancel", (event) => event.preventDefault());
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (before?.isConnected) before.focus();
  });
  dialog.showModal();
  return dialog;
}

function typeField(text, changed) {
  const input = el("input", { type: "text", autocomplete: "off", spellcheck: "false", on: { input: () => changed(input.value.trim() === String(text)) } });
  return el("label", { class: "field" }, el("span", null, "Type ", el("strong", null, text), " to confirm"), input);
}

function showBesideField(form, { loc, msg }) {
  const path = (loc ?? []).slice(1).map(String);
  const field = [path.join("."), path.at(-1)].map((name) => name && form.elements.namedItem(name)).find((each) => each instanceof Element);
  if (!field) return false;
  const id = `error-${++serial}`;
  field.setAttribute("aria-invalid", "true");
  field.setAttribute("aria-describedby", id);
  field.after(el("span", { class: "field-error", id }, msg));
  return true;
}
