// The counts on top: how many chargers need attention and how many are in each state. Each is a filter that can be pressed.

import { el, fill } from "../el.js";
import { counted, number, stateBadge } from "../words.js";
import { toggled, valuesOf } from "./query.js";

/** The counts with `on.filter({name: value|null})`. */
export function countsBar(on) {
  const node = el("div", { class: "fleet-counts", role: "group", aria: { label: "Counts, and filters by them" } });
  let drawn = "";
  return {
    node,
    /** Show the summary of the API; null while it is not known. */
    show(summary, filters) {
      const key = JSON.stringify([summary, filters]);
      if (key === drawn) return;
      drawn = key;
      const focused = node.contains(document.activeElement) ? document.activeElement.dataset.count : null;
      fill(node, ...(summary ? buttons(summary, filters, on) : []));
      if (focused) node.querySelector(`[data-count="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    },
  };
}

function buttons(summary, filters, on) {
  return [
    button("attention", filters.attention === "true", attentionWords(summary), () =>
      on.filter({ attention: filters.attention === "true" ? null : "true" }),
    ),
    group("State", "observed", "observed", summary.observed, filters, on),
    group("Link", "link", "ocpp_state", summary.ocpp_state, filters, on),
    group("Provisioning", "status", "status", unfinished(summary.status), filters, on),
    el("span", { class: "fleet-total" }, `= ${counted(summary.total, "charger")}`),
    summary.open_commands ? el("span", { class: "fleet-open" }, openWords(summary)) : null,
  ];
}

function attentionWords({ attention }) {
  const sign = attention ? el("span", { class: "shape failed", aria: { hidden: true } }, "▲ ") : null;
  return [sign, `${number(attention)} ${attention === 1 ? "needs" : "need"} attention`];
}

function openWords({ open_commands: open, held_commands: held }) {
  const waiting = held ? `, ${number(held)} of them ${held === 1 ? "waits" : "wait"} for the ECS rate budget` : "";
  return `${counted(open, "open command")}${waiting}`;
}

/** READY is what all should be, so it needs no count. */
function unfinished(status) {
  return Object.fromEntries(Object.entries(status).filter(([value]) => value !== "READY"));
}

function group(label, kind, key, counts, filters, on) {
  const shown = Object.entries(counts ?? {}).filter(
    // "none" has not reported anything yet: there is no filter for it.
    ([value, count]) => value !== "none" && (count > 0 || valuesOf(filters, key).includes(value)),
  );
  if (!shown.length) return null;
  return el(
    "span",
    { class: "fleet-group", role: "group", aria: { label } },
    el("span", { class: "fleet-label", aria: { hidden: true } }, label),
    shown.map(([value, count]) => {
      const isPressed = valuesOf(filters, key).includes(value);
      return button(`${key}=${value}`, isPressed, [number(count), " ", stateBadge(kind, value)], () =>
        on.filter(changeOf(key, toggled(filters, key, value))),
      );
    }),
  );
}

/** The counts of links are of the chargers that run, so their filter is too. */
function changeOf(key, values) {
  return key === "ocpp_state" ? { ocpp_state: values, observed: values && "running" } : { [key]: values };
}

function button(name, isPressed, content, press) {
  return el(
    "button",
    { type: "button", class: "chip fleet-count", data: { count: name }, aria: { pressed: isPressed }, on: { click: press } },
    content,
  );
}
