// Errors as a person reads them.

import { el, fill } from "../el.js";

/** Show the error in place of a view; `again` is called by its button. */
export function showProblem(root, error, again) {
  const [title, ...sentences] = wordsOf(error);
  fill(
    root,
    el("h1", null, title),
    el("div", { class: "note failed", role: "alert" }, sentences.map((text) => el("p", null, text)), requestId(error)),
    el("p", { class: "toolbar" }, isOldPage(error) ? reloadButton() : el("button", { type: "button", class: "button", on: { click: again } }, "Try again"), el("a", { href: "/dashboard" }, "To the fleet")),
  );
}

/** The error as content of a note: its sentence, and the request id to copy if the API failed. */
export function problemText(error) {
  const [, ...sentences] = wordsOf(error);
  return [sentences.map((text) => el("p", null, text)), requestId(error)];
}

/** The error as one sentence. */
export function sentenceOf(error) {
  return wordsOf(error)[1];
}

function wordsOf(error) {
  if (isOldPage(error)) return ["There is a new version", "Chargehand was updated since this page was loaded. Reload the page to use the new version."];
  if (error.name === "NetworkError") return ["Not connected", "Chargehand does not answer: the network or the server is away.", "Nothing was lost. The page goes on when it answers."];
  if (error.status === 404) return ["Not found", `${error.detail}.`];
  if (error.status === 403) return ["Not allowed", `${error.detail}.`];
  if (error.status === 429 || (error.status === 503 && error.retryAfterS)) return ["Chargehand is busy", `${error.detail}.`, `Try again in ${error.retryAfterS ?? 1} s.`];
  if (error.status >= 500) return ["Chargehand failed", `${error.detail}.`, "The request id finds the reason in the logs of the server."];
  if (error.status) return ["The request was refused", `${error.detail}.`];
  if (error.detail) return ["Something failed", error.detail];
  console.error(error);
  return ["The page failed", `This is an error of the page itself: ${error.message}`];
}

function isOldPage(error) {
  return error instanceof TypeError && /dynamically imported module|importing a module/i.test(error.message);
}

function reloadButton() {
  return el("button", { type: "button", class: "button primary", on: { click: () => location.reload() } }, "Reload");
}

function requestId({ requestId: id, status }) {
  if (!id || status < 500) return null;
  return el("p", null, "Request id ", el("code", null, id), " ", copyButton(id, "Copy the request id"));
}

/** A button that copies the text. */
export function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button", class: "button quiet" }, label);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    fill(button, "Copied");
    setTimeout(() => fill(button, label), 2000);
  });
  return button;
}
