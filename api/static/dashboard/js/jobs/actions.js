// What can be done with a job: pause, resume, cancel, try again what failed, and download its report.

import { api } from "../client.js";
import { announce, confirmDialog, toast } from "../dialog.js";
import { el, fill } from "../el.js";
import { navigate } from "../router.js";
import { save } from "../save.js";
import { counted } from "../words.js";
import { isFinal, titleOf } from "./words.js";

/** {node, show(job)}: the buttons that fit the job. `changed(job)` is called with the job after a change. */
export function jobActions({ changed }) {
  const node = el("div", { class: "toolbar job-actions" });
  let current = null;
  let drawn = "";
  return { node, show };

  function show(job) {
    current = job;
    const names = buttonsOf(job);
    const wanted = names.map(([text]) => text).join("|");
    if (wanted === drawn) return;
    const focused = document.activeElement?.textContent;
    drawn = wanted;
    fill(node, names.map(([text, run, kind = ""]) => el("button", { type: "button", class: `button ${kind}`, on: { click: run } }, text)));
    [...node.children].find((button) => button.textContent === focused)?.focus();
  }

  function buttonsOf(job) {
    const buttons = [];
    if (job.counts.failed) buttons.push([`Try ${counted(job.counts.failed, "failed charger")} again`, () => retryJob(current)]);
    if (!isFinal(job) && job.status !== "cancelled") {
      buttons.push(job.status === "paused" ? ["Resume", () => change("resume")] : ["Pause", () => change("pause")]);
      buttons.push(["Cancel the job", cancel, "danger"]);
    }
    buttons.push(["Download the report", () => downloadReport(current)]);
    return buttons;
  }

  async function cancel() {
    const { waiting, requested } = current.counts;
    const sure = await confirmDialog({
      title: `Cancel “${titleOf(current)}”?`,
      body: [
        el("p", null, `${counted(waiting, "charger")} still waiting: left as ${waiting === 1 ? "it is" : "they are"}.`),
        requested ? el("p", null, `${counted(requested, "charger")} under way: that goes on.`) : null,
      ],
      action: "Cancel the job",
      danger: true,
    });
    if (sure) await change("cancel");
  }

  async function change(verb) {
    try {
      const job = await api.post(`/ocpp/jobs/${encodeURIComponent(current.id)}/${verb}`);
      announce(`The job is ${job.status}`);
      changed(job);
    } catch (error) {
      toast(`The job was not changed: ${error.detail ?? error.message}`, { kind: "failed" });
    }
  }
}

/** Save the report as a page that prints. An error is shown, not raised. */
async function downloadReport(job) {
  try {
    save(await api.download(`/ocpp/jobs/${encodeURIComponent(job.id)}/report`, { format: "html" }, "text/html"), `job-${job.id}.html`);
  } catch (error) {
    toast(`The report was not made: ${error.detail ?? error.message}`, { kind: "failed" });
  }
}

/** Make a job of what failed, and show it. An error is shown, not raised. */
async function retryJob(job) {
  try {
    const retry = await api.post(`/ocpp/jobs/${encodeURIComponent(job.id)}/retry`);
    navigate(`/dashboard/jobs/${encodeURIComponent(retry.job_id)}`);
  } catch (error) {
    toast(`Nothing was tried again: ${error.detail ?? error.message}`, { kind: "failed" });
  }
}
