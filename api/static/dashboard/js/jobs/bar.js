// The bar of a job: a part for each result, and the same in words for those who cannot see it.

import { el, fill } from "../el.js";
import { doneOf, RESULTS, sentenceOf } from "./words.js";

const ORDER = ["succeeded", "superseded", "skipped", "cancelled", "failed", "requested", "waiting"];

/** {node, show(job)}. */
export function jobBar() {
  const node = el("div", { class: "job-bar", role: "progressbar", aria: { label: "Progress of the job", valuemin: "0" } });
  return {
    node,
    show(job) {
      node.setAttribute("aria-valuemax", job.total);
      node.setAttribute("aria-valuenow", doneOf(job));
      node.setAttribute("aria-valuetext", sentenceOf(job));
      const parts = ORDER.filter((result) => job.counts[result]);
      fill(node, parts.map((result) => el("span", { class: `job-part ${RESULTS[result][1]} ${result}`, style: { flexGrow: String(job.counts[result]) } })));
    },
  };
}
