// What is armed at the charger: what it does wrong on purpose.

import { timeAgo } from "../../clock.js";
import { el, fill } from "../../el.js";
import { draw } from "../draw.js";
import { perform } from "./perform.js";

const ABOUT_IT = new Set(["misbehave", "get_misbehaviour", "stop_misbehaving"]);

/** Shows what the newest action about it answered. `update(obstacle)` follows the model. */
export function makeMisbehaviour(model) {
  const list = el("ul", { class: "armed" });
  const state = el("p", { class: "muted" });
  const read = el("button", { type: "button", class: "button", on: { click: () => request("GET") } }, "Read what is armed");
  const clear = el("button", { type: "button", class: "button", on: { click: () => request("DELETE") } }, "Clear all");
  const outcome = el("p", { class: "outcome", role: "status" });
  const node = el("div", { class: "misbehaviour" }, el("h3", {}, "Armed misbehaviour"), state, list,
    el("div", { class: "toolbar" }, read, clear), outcome);
  return { node, update };

  function update(obstacle) {
    const newest = model.actions.rows.find(({ event_type, status }) => ABOUT_IT.has(event_type) && status === "applied");
    const armed = newest?.result?.armed ?? [];
    draw(state, [newest?.id, armed.length], () => [
      !newest ? "Not read yet." : armed.length ? ["As read ", timeAgo(newest.finished_at), ". What was armed once may have happened since."] : ["Nothing, as of ", timeAgo(newest.finished_at), "."],
    ]);
    draw(list, [newest?.id, obstacle], () => armed.map((each) => itemOf(each, obstacle)));
    for (const button of [read, clear]) button.disabled = Boolean(obstacle);
    clear.hidden = !armed.length;
  }

  function itemOf({ kind, fired, ...fields }, obstacle) {
    const details = Object.entries(fields).map(([name, value]) => `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`);
    return el("li", {}, el("strong", {}, kind.replaceAll("_", " ")), details.length ? ` (${details.join(", ")})` : "", `, has happened ${fired === 1 ? "once" : `${fired} times`} `,
      el("button", { type: "button", class: "button quiet", disabled: Boolean(obstacle), aria: { label: `Clear ${kind.replaceAll("_", " ")}` }, on: { click: () => request("DELETE", { kind }) } }, "Clear"));
  }

  async function request(method, event = {}) {
    fill(outcome, "Sent to the charger");
    const { ok, words } = await perform(model, "misbehave", event, { method });
    if (ok && method === "DELETE") await perform(model, "misbehave", {}, { method: "GET" });
    fill(outcome, ok ? "" : words);
  }
}
