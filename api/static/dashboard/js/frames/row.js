// One row of a log: an exchange, a remark or an event of the connection; opened, it shows the whole frames.

import { clock, duration, localTime } from "../clock.js";
import { el, fill } from "../el.js";
import { ms, stateBadge } from "../words.js";
import { codeOf, contentOf, latencyMs } from "./exchanges.js";
import { isError } from "./filters.js";
import { frameBlock } from "./text.js";

const SUMMARY_LENGTH = 240; // characters
const WAITING_S = 5; // logs come some seconds late, so a younger call may have its answer already
const COUNTED_S = 600; // an older call without an answer is history
const LEVELS = { info: ["○", "stopped", "remark"], warning: ["◐", "moving", "warning"], error: ["▲", "failed", "error"] };

/** The row as an <li>. `partial`: the answer may be left out by a filter; `find(row)` then returns it, or null. */
export function rowNode(row, { partial, opened, toggle, find }) {
  const entry = row.call ?? row.answer ?? row.line;
  const detail = el("div", { class: "frame-detail", hidden: true });
  const name = row.line ? null : el("button", { type: "button", class: "frame-name", aria: { expanded: false }, data: { key: row.key } }, entry.action || "not OCPP");
  const item = el("li", { class: `frame-row ${row.line ? row.line.kind : "exchange"}`, data: { key: row.key } }, time(entry), row.line ? lineParts(row.line) : exchangeParts(row, name, partial), detail);
  const show = (open) => {
    name.setAttribute("aria-expanded", String(open));
    detail.hidden = !open;
    if (open && !detail.childNodes.length) fill(detail, details(row, partial, find));
    toggle(row.key, open);
  };
  name?.addEventListener("click", () => show(detail.hidden));
  if (opened && name) show(true);
  return item;
}

/** What the row is made of: it is made again when this changes. */
export function signatureOf(row, partial) {
  return `${row.call?.id} ${row.answer?.id} ${partial}`;
}

/** Whether its text changes with time. */
export function isWaiting(row) {
  return Boolean(row.call && !row.answer && row.call.message_type === 2 && ageS(row.call) <= COUNTED_S + 2);
}

/** The text of the row's status while it waits. */
export function updateWaiting(item, row, partial) {
  const status = item.querySelector(".frame-status");
  if (status && !partial) fill(status, statusOf(row, partial));
}

function time(entry) {
  const at = localTime(entry.timestamp);
  const millis = String(new Date(entry.timestamp).getMilliseconds()).padStart(3, "0");
  return el("time", { datetime: entry.timestamp, class: "frame-time mono", title: `${at} · ${entry.timestamp}` }, `${at.slice(11)}.${millis}`);
}

function exchangeParts(row, name, partial) {
  const first = row.call ?? row.answer;
  const out = first.direction === "cp_to_csms";
  return [
    el("span", { class: "frame-arrow", title: out ? "to the CSMS" : "from the CSMS" }, el("span", { aria: { hidden: true } }, out ? "→" : "←"), el("span", { class: "unseen" }, out ? "to the CSMS" : "from the CSMS")),
    name,
    el("span", { class: "frame-status" }, statusOf(row, partial)),
    el("span", { class: "frame-text mono" }, summaryOf(first)),
  ];
}

function statusOf(row, partial) {
  if (row.answer && isError(row.answer)) return [badge("▲", "failed", `CALLERROR ${codeOf(row.answer)}`), latency(row)];
  if (row.answer) {
    const { payload } = contentOf(row.answer);
    const status = typeof payload?.status === "string" ? ` ${payload.status.slice(0, 40)}` : "";
    return [badge("✓", "running", row.call ? status.trim() || "answered" : `answer${status && `:${status}`}`), latency(row)];
  }
  if (partial || row.call.message_type !== 2) return [];
  const { shape, kind, text } = stateOfCall(row);
  return [badge(shape, kind, text)];
}

function stateOfCall(row) {
  const age = row.call ? ageS(row.call) : 0;
  if (age < WAITING_S) return { shape: "◐", kind: "moving", text: "waiting" };
  return { shape: "▲", kind: "failed", text: age > COUNTED_S ? "no answer" : `no answer, ${duration(age)}` };
}

function ageS(entry) {
  return Math.max(0, (clock.now() - Date.parse(entry.timestamp)) / 1000);
}

function latency(row) {
  return row.call ? el("span", { class: "frame-latency" }, ` ${ms(latencyMs(row))}`) : null;
}

function summaryOf(entry) {
  const { payload, error, text } = contentOf(entry);
  const whole = text ?? (error ? [error.code, error.description].filter(Boolean).join(": ") : JSON.stringify(payload) ?? "");
  return whole.length > SUMMARY_LENGTH ? `${whole.slice(0, SUMMARY_LENGTH)}…` : whole;
}

function lineParts(line) {
  if (line.kind === "connection") {
    return [el("span", { class: "frame-line" }, stateBadge("link", line.state), " ", line.message || line.reason || "")];
  }
  const [shape, kind, word] = LEVELS[line.level] ?? LEVELS.info;
  return [el("span", { class: "frame-line" }, badge(shape, kind, word), " ", line.message ?? "")];
}

function badge(shape, kind, text) {
  return el("span", { class: `badge ${kind}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), text);
}

function details(row, partial, find) {
  const blocks = [row.call && frameBlock(row.call), row.answer && frameBlock(row.answer)];
  const missing = partial && (!row.call || !row.answer) && (row.call ?? row.answer).message_id != null;
  if (!missing) return blocks;
  const place = el("div");
  const which = row.call ? "answer" : "call";
  const button = el("button", { type: "button", class: "button" }, `Show its ${which}, which does not match the filter`);
  button.addEventListener("click", async () => {
    button.disabled = true;
    try {
      const found = await find(row);
      fill(place, found ? frameBlock(found) : el("p", { class: "muted" }, `No ${which} within two minutes.`));
    } catch (error) {
      button.disabled = false;
      fill(place, button, el("p", { class: "note failed", role: "alert" }, error.message));
    }
  });
  fill(place, button);
  return row.call ? [...blocks, place] : [place, ...blocks];
}
