// Which entries of a log are shown: as keys of the address, as a query of the API, and for entries that come live.

import { query, setQuery } from "../router.js";

export const KINDS = ["frame", "remark", "connection"];
export const OFTEN = "Heartbeat,MeterValues"; // actions that one click hides
const NAMES = ["kind", "caller", "event", "q", "errors", "hide"];
const ANSWERS = [3, 4, 5];
const ERRORS = [4, 5];

/** The filters in the address. Unknown values count as none. */
export function filters() {
  const given = query();
  const kind = (given.get("kind") ?? "").split(",").filter((each) => KINDS.includes(each)).join(",");
  const caller = ["charger", "csms"].includes(given.get("caller")) ? given.get("caller") : "";
  return {
    kind,
    caller,
    event: (given.get("event") ?? "").slice(0, 64),
    q: (given.get("q") ?? "").slice(0, 255),
    errors: given.get("errors") === "true" ? "true" : "",
    hide: given.get("hide") ?? "",
  };
}

/** Put changes of the filters into the address. */
export function setFilters(changes) {
  setQuery(changes, { replace: true });
}

export function clearFilters() {
  setFilters(Object.fromEntries(NAMES.map((name) => [name, null])));
}

export function anyFilter(chosen) {
  return NAMES.some((name) => chosen[name]);
}

/** The filters as the API takes them. Filters of frames leave out the other kinds. */
export function asQuery(chosen) {
  const ofFrames = chosen.caller || chosen.event;
  return { ...chosen, kind: ofFrames ? "frame" : chosen.kind || KINDS.join(",") };
}

/** Whether the answer to each call that is shown is shown too. */
export function showsWholeExchanges(chosen) {
  return !chosen.q && !chosen.errors;
}

/** Whether the API would return the entry. */
export function matches(entry, chosen) {
  const { kind, caller, event, q, errors, hide } = chosen;
  if (!asQuery(chosen).kind.split(",").includes(entry.kind)) return false;
  if (event && entry.action !== event) return false;
  if (hide && hide.split(",").includes(entry.action)) return false;
  if (caller && callerOf(entry) !== caller) return false;
  if (errors && !isError(entry)) return false;
  return !q || (entry.message ?? "").toLowerCase().includes(q.toLowerCase());
}

export function isAnswer(entry) {
  return ANSWERS.includes(entry.message_type);
}

export function isError(entry) {
  if (entry.kind === "frame") return ERRORS.includes(entry.message_type);
  return entry.level === "error" || ["rejected", "disconnected"].includes(entry.state);
}

/** Who began the exchange: "charger" or "csms". */
export function callerOf(entry) {
  return (entry.direction === "cp_to_csms") !== isAnswer(entry) ? "charger" : "csms";
}
