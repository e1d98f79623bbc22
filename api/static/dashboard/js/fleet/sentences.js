// What a row says in words: why it does not run, why it is not connected, what its newest command waits for.

const VERBS = {
  create_charger: "create",
  update_charger: "update",
  delete_charger: "delete",
  start_charger: "start",
  stop_charger: "stop",
  reset_charger: "restart",
};

/** "stop" for `stop_charger`. */
function verbOf(eventType) {
  return VERBS[eventType] ?? eventType.replace("_charger", "");
}

/** Why the charger is not as desired, as a sentence; null when there is nothing to say. */
export function whyOf(row) {
  const { runtime } = row;
  if (row.status === "FAILED") return row.error?.message ?? "Its creation failed.";
  if (runtime.reason) return runtime.reason;
  // What the API says of the link stands in the link's own column.
  return runtime.observed === "running" && runtime.ocpp.state !== "accepted" ? null : runtime.attention_reason;
}

/** The state of the link as one sees it: what does not run has none, whatever its old row says. */
export function linkOf(row) {
  const { observed, ocpp } = row.runtime;
  if (observed !== "running") return { state: null, why: `not connected: ${observed}`, since: null };
  if (ocpp.state === null) return { state: null, why: ocpp.reason ?? "not known yet", since: null };
  return { state: ocpp.state, why: linkReason(row), since: ocpp.since };
}

function linkReason(row) {
  const { ocpp, attention_reason: attention } = row.runtime;
  return [ocpp.state === "accepted" ? null : (ocpp.reason ?? attention), ocpp.stale_reason].filter(Boolean).join(". ") || null;
}

/** The newest command while it is open or failed: `{verb, status, waits, until}`, else null. `until` is when it is tried again. */
export function commandOf(row) {
  const { command } = row;
  if (!command || !["queued", "applied", "failed"].includes(command.status)) return null;
  return {
    verb: verbOf(command.event_type),
    status: command.status,
    waits: waitsFor(command),
    attempts: command.attempts,
    until: command.status === "queued" ? command.next_attempt_at : null,
    since: command.created_at,
  };
}

function waitsFor(command) {
  if (command.status === "failed") return command.error?.message ?? command.reason ?? "it failed";
  if (command.held) return command.reason ?? "waits for the ECS rate budget";
  if (command.reason) return command.reason;
  return command.status === "applied" ? "ECS accepted it, and it is not observed yet" : "waits for a worker";
}
