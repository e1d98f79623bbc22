// The lights: each part that the service depends on, with a sentence.

import { timeAgo } from "../clock.js";
import { el } from "../el.js";
import { send } from "../http.js";
import { ms } from "../words.js";

const NAMES = { database: "Database", broker: "Broker", ecs: "Amazon ECS", logs: "Logs", observer: "Observer", link: "Control link" };

/** The parts that are away first, in full; those that work behind them. */
export function lights(state) {
  const away = state.lights.filter((each) => !each.ok);
  const fine = state.lights.filter((each) => each.ok);
  return el("ul", { class: "lights", aria: { label: "What the service depends on" } }, [...away, ...fine].map(light));
}

/** While GET /ocpp/operations has no answer: what GET /ready says, and the other lights as they were. */
export async function lightsWithoutAnswer(newest, signal) {
  const { database, broker } = await readiness(signal);
  const before = (newest?.lights ?? [])
    .filter(({ name }) => !["database", "broker"].includes(name))
    .map((each) => ({ ...each, ok: null, detail: `Not known now. Before: ${each.detail}` }));
  return lights({ lights: [{ name: "database", ...database }, { name: "broker", ...broker }, ...before] });
}

async function readiness(signal) {
  try {
    const { broker } = await (await send("GET", "/ready", { signal })).json();
    return { database: { ok: true, detail: "The database answers" }, broker: brokerOf(broker) };
  } catch (error) {
    if (error.status !== 503) return { database: unknown(), broker: unknown() };
    return { database: { ok: false, detail: `${error.detail}. Requests are refused until it is back; chargers go on as they are` }, broker: unknown() };
  }
}

function brokerOf(text) {
  return text === "ok" ? { ok: true, detail: "The broker takes messages" } : { ok: false, detail: text };
}

function unknown() {
  return { ok: null, detail: "Not known: Chargehand does not answer" };
}

function light({ name, ok, detail, since, latency_ms: latency }) {
  const [shape, word, kind] = ok === null ? ["◌", "not known", "stale"] : ok ? ["●", "works", "running"] : ["▲", "away", "failed"];
  return el(
    "li",
    { class: `light ${kind}`, data: { light: name, ok: String(ok) } },
    el("strong", null, NAMES[name] ?? name),
    el("span", { class: `badge ${kind}` }, el("span", { class: "shape", aria: { hidden: true } }, shape), wordOf(name, ok, word)),
    el("span", { class: "light-detail" }, `${detail}.`, latency != null && el("span", { class: "muted" }, ` ${ms(latency)}`)),
    since && el("span", { class: "muted" }, "Last well ", timeAgo(since)),
  );
}

function wordOf(name, ok, word) {
  if (ok !== false) return word;
  return name === "logs" || name === "observer" ? "late" : word;
}
