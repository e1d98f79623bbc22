// What can be done with a location: create chargers in it, start, stop, restart them all, its report, and delete it.

import { api } from "../client.js";
import { confirmDialog, toast } from "../dialog.js";
import { el } from "../el.js";
import { createDialog } from "../fleet/acting/create.js";
import { actOnMany } from "../fleet/acting/many.js";
import { navigate } from "../router.js";
import { save } from "../save.js";
import { chargersIn, titleOf } from "./words.js";

/** The buttons of the location. An error of an action is shown, not raised. */
export function locationActions({ id, name }) {
  const path = `/ocpp/locations/${encodeURIComponent(id)}`;
  return el(
    "div",
    { class: "toolbar" },
    button("Create chargers", create, "primary"),
    button("Start all", () => act("start")),
    button("Stop all", () => act("stop")),
    button("Restart all", () => act("restart")),
    button("Download the report", downloadReport),
    button("Delete", remove, "danger"),
  );

  async function create() {
    try {
      await createDialog({ location_id: id, location_name: name });
    } catch (error) {
      toast(`The catalog cannot be read: ${error.detail ?? error.message}`, { kind: "failed" });
    }
  }

  async function act(verb) {
    const job = await actOnMany(verb, { filters: { location_id: id } });
    if (job) navigate(`/dashboard/jobs/${encodeURIComponent(job.job_id)}`);
  }

  /** Save the report as a page that prints. */
  async function downloadReport() {
    try {
      save(await api.download(`${path}/report`, { format: "html" }, "text/html"), `location-${id}.html`);
    } catch (error) {
      toast(`The report was not made: ${error.detail ?? error.message}`, { kind: "failed" });
    }
  }

  async function remove() {
    try {
      const current = await api.get(path);
      const sure = await confirmDialog({
        title: `Delete “${titleOf(current)}”?`,
        body: el("p", null, `It has ${chargersIn(current)}. They are deleted with it, by a job.`),
        action: "Delete the location",
        danger: true,
        type: current.slug ?? id,
      });
      if (!sure) return;
      await api.del(path);
      toast(`${titleOf(current)} is deleted`);
      navigate("/dashboard/locations");
    } catch (error) {
      toast(`The location was not deleted: ${error.detail ?? error.message}`, { kind: "failed" });
    }
  }
}

function button(text, run, kind = "") {
  return el("button", { type: "button", class: `button ${kind}`, on: { click: run } }, text);
}
