// Start, stop, restart and delete of many chargers: one job, after a question that says how many the server counts.

import { api } from "../../client.js";
import { confirmDialog, toast } from "../../dialog.js";
import { el } from "../../el.js";
import { counted, number } from "../../words.js";

const WORDS = { start: "Start", stop: "Stop", restart: "Restart", delete: "Delete" };
const TYPED_FROM = 100; // so many chargers are not confirmed by one press

/**
 * Ask, then request this of the target: `{charger_ids}` or `{filters}`. Returns the accepted job, or null.
 * An error is shown, not raised. The number that was confirmed goes to the API, which refuses when it counts another one;
 * then the question comes again with the new number.
 */
export async function actOnMany(verb, target) {
  const path = `/ocpp/chargers/${verb}`;
  const preview = () => api.post(path, { ...target, dry_run: true });
  try {
    let plan = await preview();
    let changed = null;
    while (true) {
      if (!(await confirmed(verb, target, plan, changed))) return null;
      try {
        return await api.post(path, { ...target, expected_count: plan.total });
      } catch (error) {
        if (!isAboutTheCount(error)) throw error;
        changed = error.detail;
        plan = await preview();
      }
    }
  } catch (error) {
    if (error.name !== "AbortError") toast(`${WORDS[verb]}: ${error.detail ?? error.message}`, { kind: "failed" });
    return null;
  }
}

function isAboutTheCount(error) {
  return (error.items ?? []).some(({ loc }) => loc?.at(-1) === "expected_count");
}

function confirmed(verb, target, plan, changed) {
  const leftOut = plan.left_out.reduce((sum, { count }) => sum + count, 0);
  const acting = counted(plan.total - leftOut, "charger");
  if (plan.total === leftOut) {
    toast(`${WORDS[verb]}: nothing to do. ${leftOutWords(plan).join(". ")}`);
    return false;
  }
  const isTyped = verb === "delete" || plan.total >= TYPED_FROM || Boolean(target.filters);
  return confirmDialog({
    title: `${WORDS[verb]} ${acting}?`,
    body: [changed ? el("p", { class: "note" }, changed) : null, ...questionBody(verb, plan, leftOut)],
    action: `${WORDS[verb]} ${acting}`,
    danger: verb !== "start",
    type: isTyped ? String(plan.total - leftOut) : null,
  });
}

function questionBody(verb, plan, leftOut) {
  const names = plan.sample.map(({ identity }) => identity);
  const more = plan.total - names.length;
  return [
    el("p", {}, leftOut ? `Of ${counted(plan.total, "charger")}: ` : null, names.join(", "), more > 0 ? ` and ${number(more)} more` : ""),
    leftOut ? [el("p", {}, "Left out:"), el("ul", {}, leftOutWords(plan).map((text) => el("li", {}, text)))] : null,
    verb === "delete" ? el("p", {}, "They stop, and their rows, settings and commands are removed.") : null,
  ];
}

/** "The charger is stopped already: 4 chargers". */
function leftOutWords({ left_out: leftOut }) {
  return leftOut.map(({ reason, count }) => `${reason}: ${counted(count, "charger")}`);
}
