// Errors as a person reads them.

import { toClipboard } from "../clipboard.js";
import { el, fill } from "../el.js";

/** A module of the page cannot be loaded, although the server answers. */
export class OldPage extends Error {
  constructor(cause) {
    super("A part of the page could not be loaded", { cause });
  }
}

const LONGEST_WAIT_S = 15;
let failures = 0; // one after the other, without an answer

/**
 * Show the error in place of a view. `again` is called by its button; and by itself where waiting helps, counted down,
 * until the signal is aborted.
 */
export function showProblem(root, error, again, signal = null) {
  const [title, ...sentences] = wordsOf(error);
  const countdown = el("span", { class: "muted" });
  const retry = retrying(error, again, countdown, signal);
  fill(
    root,
    el("h1", null, title),
    el("div", { class: "note failed", role: "alert" }, sentences.map((text) => el("p", null, text)), requestId(error)),
    el("p", { class: "toolbar" }, error instanceof OldPage ? reloadButton() : button("Try again", retry), el("a", { href: "/dashboard" }, "To the fleet"), countdown),
  );
}

/** A view was shown: the next failure is the first one. */
export function clearFailures() {
  failures = 0;
}

/** Count down and call `again`, if waiting helps. Returns what calls it at once. */
function retrying(error, again, countdown, signal) {
  const waits = error.name === "NetworkError" ? Math.min(LONGEST_WAIT_S, 2 ** failures++) : error.retryAfterS;
  const stop = new AbortController();
  const now = () => {
    stop.abort();
    again();
  };
  if (!waits) return now;
  const at = Date.now() + waits * 1000;
  const tick = () => {
    const left = Math.ceil((at - Date.now()) / 1000);
    fill(countdown, `Tried again in ${Math.max(0, left)} s`);
    if (left <= 0) now();
  };
  const timer = setInterval(tick, 250);
  stop.signal.addEventListener("abort", () => clearInterval(timer));
  signal?.addEventListener("abort", () => stop.abort());
  addEventListener("online", now, { signal: stop.signal });
  tick();
  return now;
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
  if (error instanceof OldPage) return ["Reload the page", "A part of the page could not be loaded: Chargehand was updated since the page was, or the connection broke."];
  if (error.name === "NetworkError") return ["Not connected", "Chargehand does not answer: the network or the server is away.", "Nothing was lost. The page goes on when it answers."];
  if (error.status === 404) return ["Not found", `${error.detail}.`];
  if (error.status === 403) return ["Not allowed", `${error.detail}.`];
  if (error.status === 429 || (error.status === 503 && error.retryAfterS)) return ["Chargehand is busy", `${error.detail}.`, `The next request may come in ${error.retryAfterS ?? 1} s.`];
  if (error.status >= 500) return ["Chargehand failed", `${error.detail}.`, "The request id finds the reason in the logs of the server."];
  if (error.status) return ["The request was refused", `${error.detail}.`];
  if (error.detail) return ["Something failed", error.detail];
  console.error(error);
  return ["The page failed", `This is an error of the page itself: ${error.message}`];
}

function reloadButton() {
  return el("button", { type: "button", class: "button primary", on: { click: () => location.reload() } }, "Reload");
}

function button(text, run) {
  return el("button", { type: "button", class: "button", on: { click: run } }, text);
}

function requestId({ requestId: id, status }) {
  if (!id || status < 500) return null;
  return el("p", null, "Request id ", el("code", null, id), " ", copyButton(id, "Copy the request id"));
}

/** A button that copies the text. */
export function copyButton(text, label = "Copy") {
  const button = el("button", { type: "button", class: "button quiet" }, label);
  button.addEventListener("click", async () => {
    const isCopied = await toClipboard(text).then(() => true, () => false);
    fill(button, isCopied ? "Copied" : "Not copied: select the text");
    setTimeout(() => fill(button, label), 2000);
  });
  return button;
}
