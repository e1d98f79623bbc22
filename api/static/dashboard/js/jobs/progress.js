// A job as a strip, for the view that has just requested it.

import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { link } from "../router.js";
import { jobBar } from "./bar.js";
import { followJob } from "./follow.js";
import { isFinal, sentenceOf, titleOf } from "./words.js";

/** A node that shows how far the job is until it is final; a button removes it. */
export function jobProgress(jobId, { signal }) {
  const closing = new AbortController();
  const bar = jobBar();
  const title = link(`/dashboard/jobs/${encodeURIComponent(jobId)}`, "Job");
  const words = el("span", { class: "job-words" }, "Accepted");
  const close = el("button", { type: "button", class: "button quiet", aria: { label: "Hide this job" }, on: { click: hide } }, "×");
  const node = el("div", { class: "job-strip", role: "group", aria: { label: "Job" } }, title, words, close, bar.node);
  followJob(jobId, { shown, away, signal: AbortSignal.any([signal, closing.signal]) });
  return node;

  function shown(job) {
    title.textContent = titleOf(job);
    node.setAttribute("aria-label", `Job: ${titleOf(job)}`);
    node.classList.remove("away");
    bar.show(job);
    fill(words, sentenceOf(job), job.waits_for ? el("span", { class: "muted" }, ` · ${job.waits_for}`) : null);
    if (isFinal(job)) announce(`${titleOf(job)}: ${sentenceOf(job)}`);
  }

  function away(error) {
    node.classList.add("away");
    words.textContent = `Not known now: ${error.detail ?? error.message}`;
  }

  function hide() {
    closing.abort();
    node.remove();
  }
}
