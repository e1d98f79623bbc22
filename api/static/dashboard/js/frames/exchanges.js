// Calls with their answers.

import { callerOf, isAnswer } from "./filters.js";

/** Of an entry, the same in every page and event. */
export function keyOf(entry) {
  return `${entry.kind} ${entry.timestamp} ${entry.id}`;
}

/** Whether `one` is older. Times of the API differ in their number of digits. */
export function byTime(one, other) {
  return Date.parse(one.timestamp) - Date.parse(other.timestamp) || compare(one.id, other.id) || compare(other.kind, one.kind);
}

/**
 * The rows of a log, whose entries are in the order of time: {key, call, answer} for an exchange, of which one may be
 * missing, and {key, line} for a remark or an event of the connection. A row stands where its first entry stands.
 */
export function rowsOf(entries) {
  const rows = [];
  const unanswered = new Map();
  for (const entry of entries) {
    if (entry.kind !== "frame") {
      rows.push({ key: keyOf(entry), line: entry });
      continue;
    }
    const exchange = entry.message_id == null ? null : `${callerOf(entry)} ${entry.message_id}`;
    if (!isAnswer(entry)) {
      const row = { key: keyOf(entry), call: entry, answer: null };
      rows.push(row);
      if (exchange && entry.message_type === 2) unanswered.set(exchange, row);
    } else if (unanswered.has(exchange)) {
      unanswered.get(exchange).answer = entry;
      unanswered.delete(exchange);
    } else {
      rows.push({ key: keyOf(entry), call: null, answer: entry });
    }
  }
  return rows;
}

/** The time from the call to its answer, as far as the log's milliseconds say. */
export function latencyMs({ call, answer }) {
  return Math.max(0, Date.parse(answer.timestamp) - Date.parse(call.timestamp));
}

/** What a frame carries: {payload} of a call or a result, {error: {code, description, details}}, or {text} if it is no OCPP-J. */
export function contentOf(entry) {
  const text = entry.message ?? "";
  try {
    const frame = JSON.parse(text);
    if (entry.message_type === 2 || entry.message_type === 6) return { payload: frame[3] };
    if (entry.message_type === 3) return { payload: frame[2] };
    if (entry.message_type === 4 || entry.message_type === 5) return { error: { code: frame[2], description: frame[3], details: frame[4] } };
  } catch {
    // it was cut, or is no JSON
  }
  return { text };
}

/** The code of a CALLERROR, also of one that was cut. */
export function codeOf(entry) {
  return String(contentOf(entry).error?.code ?? "") || "without a code";
}

/** The entries as lines of JSON, as the API writes them. */
export function asLines(entries) {
  return entries.map((entry) => `${JSON.stringify(entry)}\n`).join("");
}

function compare(one, other) {
  return one < other ? -1 : one > other ? 1 : 0;
}
