// Values as people read them: states with a shape, numbers with their unit.

import { el } from "./el.js";

const RUNNING = ["●", "running"];
const MOVING = ["◐", "moving"];
const STOPPED = ["○", "stopped"];
const FAILED = ["▲", "failed"];
const UNKNOWN = ["◌", "unknown"];

/** The shape and the class of each value, by the kind of state. */
const STATES = {
  observed: { running: RUNNING, starting: MOVING, stopping: MOVING, stopped: STOPPED, unknown: UNKNOWN },
  link: { accepted: RUNNING, connected: MOVING, connecting: MOVING, rejected: FAILED, disconnected: FAILED, none: UNKNOWN },
  status: { READY: RUNNING, PENDING: MOVING, PROVISIONING: MOVING, FAILED, DELETING: MOVING },
  command: { queued: MOVING, applied: MOVING, succeeded: RUNNING, failed: FAILED, superseded: STOPPED },
  job: { running: MOVING, paused: STOPPED, cancelled: STOPPED, finished: RUNNING },
  action: { queued: MOVING, received: MOVING, applied: RUNNING, rejected: FAILED, expired: FAILED, failed: FAILED },
};

/** A state as shape, word and class; the word is the value itself. Of null: "not known yet". */
export function stateBadge(kind, value) {
  const [shape, name] = STATES[kind]?.[value] ?? UNKNOWN;
  const word = value == null ? "not known yet" : kind === "status" ? String(value).toLowerCase() : String(value);
  return el("span", { class: `badge ${name}`, data: { state: value ?? "" } }, el("span", { class: "shape", aria: { hidden: true } }, shape), word);
}

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 1 });

/** "10,000"; of null "–". */
export function number(n) {
  return n == null ? "–" : grouped.format(n);
}

/** "1 charger", "10,000 chargers". */
export function counted(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/** "11.2 kW", "850 W". */
export function watts(w) {
  return scaled(w, "W");
}

/** "4.1 kWh", "850 Wh". */
export function energy(wh) {
  return scaled(wh, "Wh");
}

/** "41 ms", "1.3 s". */
export function ms(n) {
  if (n == null) return "–";
  return n < 1000 ? `${number(Math.round(n))} ms` : `${grouped.format(n / 1000)} s`;
}

function scaled(value, unit) {
  if (value == null) return "–";
  if (Math.abs(value) >= 1e6) return `${grouped.format(value / 1e6)} M${unit}`;
  if (Math.abs(value) >= 1e3) return `${grouped.format(value / 1e3)} k${unit}`;
  return `${grouped.format(value)} ${unit}`;
}
