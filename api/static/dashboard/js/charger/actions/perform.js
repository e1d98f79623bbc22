// Performing an action at the charger, and saying what came of it.

import { api } from "../../client.js";
import { sentenceOf } from "../../shell/problems.js";

const WAIT_S = 10; // for the charger's result, unless the person sets another time

/** Why the charger gets no action now, as a sentence; null when it does. The API decides: this spares a press. */
export function obstacleOf({ charger, connection, removed }) {
  const { runtime, control, status } = charger;
  if (removed) return "The charger is deleted.";
  if (connection.kind === "down") return "Chargehand does not answer, so nothing can be sent to the charger.";
  if (status === "FAILED") return "The charger could not be provisioned, so no action reaches it.";
  if (status !== "READY") return "The charger is not provisioned yet, so no action reaches it.";
  if (runtime.desired === "stopped") return "The charger is stopped: start it, then actions reach it.";
  if (!control.connected) return "The charger is not connected to the control link, so no action reaches it.";
  return null;
}

/**
 * Performs the action at `path` ("plug-connector"). Returns what came of it: {ok, words, result, error}; never raises.
 * `error` is that of a refused request, with the fields that it names.
 */
export async function perform(model, path, event, { method = "POST", waitS = WAIT_S, expiresS } = {}) {
  const query = { wait: waitS, expires_in: expiresS };
  const target = { charger_id: model.id };
  const address = `/ocpp/commands/${path}`;
  try {
    const answer =
      method === "POST" ? await api.post(address, { target, event }, query)
      : method === "GET" ? await api.get(address, { ...target, ...event, ...query })
      : await api.del(address, { ...target, ...event, ...query });
    return outcomeOf(answer);
  } catch (error) {
    return { ok: false, words: refusalOf(error), result: null, error };
  } finally {
    model.refreshActions();
    model.refresh();
  }
}

/** An operation answers with counts, with one action, or with the charger's result alone. */
function outcomeOf(answer) {
  if (answer.failed?.length) return { ok: false, words: `failed: ${answer.failed[0].error}`, result: null };
  const action = answer.results?.[0] ?? (answer.event_type && answer.status ? answer : null);
  if (!action) return { ok: true, words: "applied", result: answer };
  const { status, reason, result } = action;
  const ok = status === "applied";
  const verdict = ok && result?.token_status ? `, the CSMS says ${result.token_status}` : "";
  const words = status ? `${status}${verdict}${reason ? `: ${reason}` : ""}` : "stored; the charger has not answered yet";
  return { ok, words, result: result ?? null };
}

function refusalOf(error) {
  const said = error.items?.find(({ ctx }) => ctx?.code);
  return said ? `${said.ctx.code === "action_rejected" ? "rejected" : "failed"}: ${said.msg}` : sentenceOf(error);
}
