// The words for jobs: titles, results, and how far a job is.

import { duration } from "../clock.js";
import { el } from "../el.js";
import { counted, number } from "../words.js";

const ACTIONS = { start: "Start", stop: "Stop", restart: "Restart", delete: "Delete", create: "Create" };

/** The results in the order in which they are shown: shape, class and words. What needs attention comes first. */
export const RESULTS = {
  failed: ["▲", "failed", "failed"],
  requested: ["◐", "moving", "under way"],
  waiting: ["◌", "unknown", "waiting"],
  succeeded: ["●", "running", "succeeded"],
  superseded: ["○", "stopped", "superseded"],
  skipped: ["○", "stopped", "skipped"],
  cancelled: ["○", "stopped", "cancelled"],
};

/** "Stop 200 chargers". */
export function titleOf({ action, total }) {
  return `${ACTIONS[action] ?? action} ${counted(total, "charger")}`;
}

/** A result as shape and words, with a number before them if one is given. */
export function resultBadge(result, count = null) {
  const [shape, name, words] = RESULTS[result] ?? ["◌", "unknown", result];
  const text = count === null ? words : `${number(count)} ${words}`;
  return el("span", { class: `badge ${name}`, data: { state: result } }, el("span", { class: "shape", aria: { hidden: true } }, shape), text);
}

export function isFinal(job) {
  return job.finished_at !== null;
}

/** How many chargers are final. */
export function doneOf({ total, counts }) {
  return total - counts.waiting - counts.requested;
}

/** "150 of 200 done · 3 failed · about 9 s". */
export function sentenceOf(job) {
  const { counts } = job;
  const parts = [`${number(doneOf(job))} of ${number(job.total)} done`];
  for (const result of ["failed", "superseded", "skipped", "cancelled"]) {
    if (counts[result]) parts.push(`${number(counts[result])} ${RESULTS[result][2]}`);
  }
  if (!isFinal(job) && job.eta_s !== null) parts.push(`about ${duration(Math.max(1, job.eta_s))}`);
  return parts.join(" · ");
}
