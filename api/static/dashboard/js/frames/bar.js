// The filters of a log, and what can be done with what they show.

import { el, fill } from "../el.js";
import { counted, number } from "../words.js";
import { anyFilter, clearFilters, filters, OFTEN, setFilters } from "./filters.js";

const TYPED_AFTER_MS = 250;
const KINDS = { "": "Everything", frame: "Frames", remark: "Remarks", connection: "Connection" };
const CALLERS = { "": "Both", charger: "→ of the charger", csms: "← of the CSMS" };

/** {node, update(actions)}: `actions` is how many frames of each action were seen. `does`: {pause, copyAll, download}. */
export function filterBar(does) {
  let typed;
  const text = el("input", { type: "search", name: "q", maxlength: "255", placeholder: "Text in a message", aria: { label: "Text" } });
  text.addEventListener("input", () => {
    clearTimeout(typed);
    typed = setTimeout(() => setFilters({ q: text.value }), TYPED_AFTER_MS);
  });
  const kind = choice("Show", "kind", KINDS);
  const caller = choice("Calls", "caller", CALLERS);
  const event = choice("Action", "event", { "": "All actions" });
  const errors = toggle("Errors only", (on) => setFilters({ errors: on ? "true" : null }));
  const often = toggle("Hide Heartbeat and MeterValues", (on) => setFilters({ hide: on ? OFTEN : null }));
  const clear = el("button", { type: "button", class: "button quiet", on: { click: clearFilters } }, "Clear filters");
  const pause = el("button", { type: "button", class: "button", on: { click: does.pause } }, "Pause");
  const node = el("div", { class: "frames-bar" },
    el("div", { class: "toolbar", role: "search", aria: { label: "Filter the log" } }, text, kind.label, caller.label, event.label, errors, often, clear),
    el("div", { class: "toolbar" }, pause,
      el("button", { type: "button", class: "button", on: { click: does.copyAll } }, "Copy what is shown"),
      el("button", { type: "button", class: "button", on: { click: (click) => does.download(click.currentTarget) } }, "Download all that match")));

  function update(actions, { paused }) {
    const chosen = filters();
    if (document.activeElement !== text) text.value = chosen.q;
    fillActions(event.select, actions, chosen.event);
    kind.select.value = chosen.kind in KINDS ? chosen.kind : "";
    caller.select.value = chosen.caller;
    errors.setAttribute("aria-pressed", String(Boolean(chosen.errors)));
    often.setAttribute("aria-pressed", String(chosen.hide === OFTEN));
    clear.hidden = !anyFilter(chosen);
    pause.setAttribute("aria-pressed", String(paused));
    fill(pause, paused ? "Resume" : "Pause");
  }

  return { node, update, focus: () => text.focus() };
}

/** "214 are hidden", with what takes the filters off. */
export function nothingMatches({ count, more }) {
  const hidden = more ? `${number(count)} or more are hidden` : `${number(count)} ${count === 1 ? "is" : "are"} hidden`;
  return el("div", { class: "frames-empty" }, el("p", null, `No entry matches; ${hidden}.`), el("button", { type: "button", class: "button", on: { click: clearFilters } }, "Clear filters"));
}

/** "12 more while you read". */
export function moreText(count) {
  return count ? `${counted(count, "more entry", "more entries")} while you read` : "Paused";
}

function choice(name, key, options) {
  const select = el("select", { name: key, on: { change: () => setFilters({ [key]: select.value }) } }, optionsOf(options));
  return { select, label: el("label", { class: "frames-choice" }, el("span", { class: "muted" }, name), select) };
}

function toggle(name, change) {
  const button = el("button", { type: "button", class: "chip", aria: { pressed: false }, on: { click: () => change(button.getAttribute("aria-pressed") !== "true") } }, name);
  return button;
}

function optionsOf(options) {
  return Object.entries(options).map(([value, name]) => el("option", { value }, name));
}

/** Keeps the chosen one in the list, also when no frame of it was seen. */
function fillActions(select, actions, chosen) {
  const names = [...new Set([...actions.keys(), ...(chosen ? [chosen] : [])])].sort();
  const texts = names.map((name) => `${name} (${number(actions.get(name) ?? 0)})`);
  if (select.dataset.shown !== texts.join()) {
    select.dataset.shown = texts.join();
    fill(select, el("option", { value: "" }, "All actions"), names.map((name, index) => el("option", { value: name }, texts[index])));
  }
  select.value = chosen;
}
