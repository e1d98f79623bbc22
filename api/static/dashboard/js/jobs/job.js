// The view "Job": how far it is, what it waits for, and the result of each charger.

import { timeAgo } from "../clock.js";
import { announce } from "../dialog.js";
import { el, fill } from "../el.js";
import { link } from "../router.js";
import { counted, stateBadge } from "../words.js";
import { jobActions } from "./actions.js";
import { jobBar } from "./bar.js";
import { followJob, readJob } from "./follow.js";
import { jobItems } from "./items.js";
import { isFinal, sentenceOf, titleOf } from "./words.js";

export async function show(root, [id], { signal }) {
  const first = await readJob(id, { signal });
  const heading = el("h1", null, titleOf(first));
  const state = el("span");
  const facts = el("p", { class: "job-facts" });
  const words = el("p", { class: "job-words" });
  const waits = el("p", { class: "note", hidden: true });
  const gone = el("p", { class: "note stale", role: "status", hidden: true });
  const bar = jobBar();
  const actions = jobActions({ changed: draw });
  const items = jobItems(id, { signal });
  fill(
    root,
    el("p", null, link("/dashboard/jobs", "Jobs"), ` / ${first.id}`),
    el("div", { class: "job-head" }, heading, state),
    facts,
    gone,
    el("section", { class: "panel", aria: { label: "Progress" } }, bar.node, words, waits, actions.node),
    items.node,
  );
  draw(first);
  if (isFinal(first)) return;
  followJob(id, { shown, away, signal });

  function shown(job) {
    gone.hidden = true;
    draw(job);
    if (isFinal(job)) announce(`${titleOf(job)}: ${sentenceOf(job)}`);
  }

  function away(error) {
    gone.hidden = false;
    gone.textContent = `This may be old: ${error.detail ?? error.message}`;
  }

  function draw(job) {
    fill(state, stateBadge("job", job.status));
    fill(facts, factsOf(job));
    bar.show(job);
    words.textContent = sentenceOf(job);
    waits.hidden = !job.waits_for;
    waits.textContent = job.waits_for ?? "";
    actions.show(job);
    items.show(job);
  }
}

function factsOf(job) {
  const parts = ["Requested by ", el("strong", null, job.requested_by), " ", timeAgo(job.created_at)];
  if (job.rate_per_second !== null) parts.push(` · ${counted(job.rate_per_second, "charger")} per second at most`);
  if (job.finished_at) parts.push(" · ended ", timeAgo(job.finished_at));
  if (job.retry_of) parts.push(" · tries again what failed in ", link(`/dashboard/jobs/${encodeURIComponent(job.retry_of)}`, `job ${job.retry_of}`));
  return parts;
}
