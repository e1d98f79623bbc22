// A location as people read it: its title, where it is, its labels, and how many of its chargers run.

import { el } from "../el.js";
import { link } from "../router.js";
import { counted, number } from "../words.js";

export function titleOf({ id, name }) {
  return name ?? id;
}

/** "1 Quai Nord, Lyon, FR", without what is not known; "–" if nothing is. */
export function placeOf({ address, city, country }) {
  return [address, city, country].filter(Boolean).join(", ") || "–";
}

export function pathOf({ id }) {
  return `/dashboard/locations/${encodeURIComponent(id)}`;
}

/** The path of the fleet with the chargers of the location, perhaps only those that match more filters. */
export function fleetPathOf({ id }, filters = {}) {
  return `/dashboard?${new URLSearchParams({ location_id: id, ...filters })}`;
}

/** "12 chargers: 10 running, 9 accepted by their CSMS". */
export function chargersIn({ chargers: { total, observed, ocpp_state: links } }) {
  if (!total) return "no chargers";
  return `${counted(total, "charger")}: ${number(observed.running)} running, ${number(links.accepted)} accepted by their CSMS`;
}

/** A list of the labels; each leads to the locations that have it. "–" if there is none. */
export function labelsOf({ labels }) {
  const all = Object.entries(labels);
  if (!all.length) return "–";
  return el("ul", { class: "plain" }, all.map(([name, value]) => el("li", null, labelLink(name, value))));
}

function labelLink(name, value) {
  return link(`/dashboard/locations?labels=${encodeURIComponent(`${name}:${value}`)}`, value ? `${name}: ${value}` : name);
}
