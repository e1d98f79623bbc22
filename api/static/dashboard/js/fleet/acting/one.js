// Start, stop, restart and delete of one charger.

import { api } from "../../client.js";
import { confirmDialog, toast } from "../../dialog.js";
import { watts } from "../../words.js";

const PATHS = { start: "start-charger", stop: "stop-charger", restart: "restart-charger" };
const WORDS = { start: "Start", stop: "Stop", restart: "Restart", delete: "Delete" };

/**
 * Request this of the charger, after a question where one is due: before a delete always, before a stop or restart while
 * it charges, and with `hasQuestion` in any case. Returns whether it was requested. An error is shown, not raised.
 * `requested(verb | null)` is called at once with the verb, and with null if the API refuses.
 */
export async function actOnOne(verb, charger, { hasQuestion = false, requested = () => {} } = {}) {
  try {
    if (!(await mayAct(verb, charger, hasQuestion))) return false;
    requested(verb);
    await send(verb, charger);
  } catch (error) {
    requested(null);
    toast(`${WORDS[verb]} of ${charger.identity}: ${error.detail ?? error.message}`, { kind: "failed" });
    return false;
  }
  toast(`${WORDS[verb]} requested for ${charger.identity}`, verb === "delete" ? {} : { href: pageOf(charger), label: "Show its commands" });
  return true;
}

function pageOf(charger) {
  return `/dashboard/chargers/${encodeURIComponent(charger.id)}`;
}

function send(verb, { id }) {
  const path = `/ocpp/chargers/${encodeURIComponent(id)}`;
  return verb === "delete" ? api.del(path) : api.post(`${path}/${PATHS[verb]}`, {});
}

async function mayAct(verb, charger, hasQuestion) {
  const { identity } = charger;
  if (verb === "delete") {
    return confirmDialog({
      title: `Delete ${identity}?`,
      body: "The charger stops, and its row, settings and commands are removed.",
      action: `Delete ${identity}`,
      danger: true,
      type: identity,
    });
  }
  const charging = verb === "start" ? null : await chargingWords(charger);
  if (!charging && !hasQuestion) return true;
  return confirmDialog({
    title: `${WORDS[verb]} ${identity}?`,
    body: charging ?? `It is ${charger.runtime.observed}.`,
    action: `${WORDS[verb]} ${identity}`,
    danger: Boolean(charging),
  });
}

/** "CP-0007 is charging (11.2 kW). ..." while a transaction runs, as the charger reports it; else null. */
async function chargingWords({ id, identity }) {
  const { connectors } = await api.get(`/ocpp/chargers/${encodeURIComponent(id)}`);
  const running = (connectors ?? []).filter((connector) => connector.transaction_id != null);
  if (!running.length) return null;
  const powers = running.filter((connector) => connector.power_w != null).map((connector) => connector.power_w);
  const power = powers.length ? ` (${watts(powers.reduce((sum, one) => sum + one, 0))})` : "";
  const what = running.length === 1 ? "The transaction ends" : `${running.length} transactions end`;
  return `${identity} is charging${power}. ${what} with it.`;
}
