// What happened to a command or an action, step by step, and what it waits for.
//
// A step is {at, name, more, isOpen}: ms since it was accepted; in words; details; whether it still goes on. A detail is a
// text, or {code}, {command: id}, {since: iso}, {until: iso, word}, {json}. Empty ones are skipped.

const FINAL_COMMAND = new Set(["succeeded", "failed", "superseded"]);
const FINAL_ACTION = new Set(["applied", "rejected", "expired", "failed"]);

export const isOpenCommand = ({ status }) => !FINAL_COMMAND.has(status);
export const isOpenAction = ({ status }) => !FINAL_ACTION.has(status);

/** `now` in ms, of the server's clock. */
export function stepsOfCommand(command, now) {
  const since = Date.parse(command.created_at);
  const after = (instant) => Math.max(0, Date.parse(instant) - since);
  const attempts = command.attempts === 1 ? "1 attempt" : `${command.attempts} attempts`;
  const steps = [{ at: 0, name: "accepted", more: [`by ${command.requested_by}`, requestOf(command)] }];
  if (command.applied_at) steps.push({ at: after(command.applied_at), name: "ECS accepted it", more: [attempts] });
  if (isOpenCommand(command)) {
    steps.push({ at: Math.max(0, now - since), name: waitOf(command), more: moreOfWait(command), isOpen: true });
  } else {
    steps.push({ at: after(command.finished_at), name: command.status, more: moreOfEnd(command) });
  }
  return steps;
}

/** What an open command waits for, as the first line says it. */
export function waitOf({ status, reason, held_since, next_attempt_at, attempts }) {
  if (held_since) return `waits for the ECS budget${reason ? `: ${reason}` : ""}`;
  if (status === "applied") return `waits until ECS runs it${reason ? `: ${reason}` : ""}`;
  if (reason) return `waits: ${reason}`;
  return next_attempt_at && attempts ? "waits for the next attempt" : "waits for a worker";
}

function moreOfWait({ held_since, next_attempt_at, attempts, applied_at }) {
  return [
    held_since && { since: held_since },
    next_attempt_at && !held_since && !applied_at && { until: next_attempt_at },
    attempts > 1 && !applied_at && `${attempts} attempts so far`,
  ];
}

function moreOfEnd({ status, error, superseded_by }) {
  if (status === "superseded") return superseded_by ? [{ command: superseded_by }] : ["by a newer command"];
  if (status !== "failed" || !error) return [];
  return [
    error.message,
    { code: error.code },
    error.step && `step ${error.step}`,
    error.retryable ? "the same request may work another time" : "the same request will fail again",
  ];
}

/** `now` in ms, of the server's clock. */
export function stepsOfAction(action, now) {
  const since = Date.parse(action.created_at);
  const after = (instant) => Math.max(0, Date.parse(instant) - since);
  const steps = [{ at: 0, name: "stored", more: [`by ${action.requested_by}`, requestOf(action)] }];
  if (action.received_at) steps.push({ at: after(action.received_at), name: "the charger has it" });
  if (isOpenAction(action)) {
    const name = action.received_at ? "waits for the result" : "waits for the charger";
    const until = !action.received_at && action.expires_at && { until: action.expires_at, word: "expires" };
    steps.push({ at: Math.max(0, now - since), name, more: [until], isOpen: true });
  } else {
    const code = action.reason_code && { code: action.reason_code };
    const result = action.result && { json: action.result };
    steps.push({ at: after(action.finished_at), name: action.status, more: [action.reason, code, result] });
  }
  return steps;
}

function requestOf({ request_id }) {
  return request_id && `request ${request_id}`;
}

/** "create", of create_charger; "plug connector", of plug_connector. */
export function titleOf({ event_type }) {
  return event_type.replace(/_charger$/, "").replaceAll("_", " ");
}
