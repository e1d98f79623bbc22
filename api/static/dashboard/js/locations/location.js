// The view "Location": what it is, how many of its chargers are in each state, and what can be done with it.

import { api } from "../client.js";
import { timeAgo } from "../clock.js";
import { el, fill } from "../el.js";
import { poll } from "../operations/poll.js";
import { link } from "../router.js";
import { copyButton } from "../shell/problems.js";
import { number, stateBadge } from "../words.js";
import { locationActions } from "./actions.js";
import { chargersIn, fleetPathOf, labelsOf, placeOf, titleOf } from "./words.js";

const EVERY_MS = 5000; // each read counts the chargers

export async function show(root, [id], { signal }) {
  const path = `/ocpp/locations/${encodeURIComponent(id)}`;
  const first = await api.get(path, null, { signal });
  const heading = el("h1");
  const old = el("p", { class: "note stale", role: "status", hidden: true });
  const numbers = el("dl", { class: "facts" });
  const total = el("p");
  const facts = el("dl", { class: "facts" });
  let drawn = "";
  fill(
    root,
    el("p", null, link("/dashboard/locations", "Locations"), ` / ${first.id}`),
    heading,
    old,
    locationActions(first),
    el("section", { class: "panel", aria: { labelledby: "chargers-title" } }, el("h2", { id: "chargers-title" }, "Chargers"), total, numbers),
    el("section", { class: "panel", aria: { labelledby: "facts-title" } }, el("h2", { id: "facts-title" }, "What it is"), facts),
  );
  draw(first);
  poll({ path, everyMs: EVERY_MS, shown: draw, failed: away }, signal);

  function away(error) {
    old.hidden = false;
    old.textContent = `This may be old: ${error.detail ?? error.message}`;
  }

  function draw(location) {
    old.hidden = true;
    const state = JSON.stringify(location);
    if (state === drawn) return;
    drawn = state;
    const focused = root.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    heading.textContent = titleOf(location);
    fill(total, link(fleetPathOf(location), chargersIn(location)));
    fill(numbers, numbersOf(location));
    fill(facts, factsOf(location));
    if (focused) [...root.querySelectorAll("a")].find((each) => each.getAttribute("href") === focused)?.focus();
  }
}

/** Each number leads to the fleet with those chargers. The links to the CSMS are counted of the chargers that run. */
function numbersOf(location) {
  const { observed, ocpp_state: links, status } = location.chargers;
  return [
    group("State", observed, "observed", (value) => fleetPathOf(location, { observed: value })),
    group("Link", links, "link", (value) => (value === "none" ? null : fleetPathOf(location, { observed: "running", ocpp_state: value }))),
    group("Provisioning", status, "status", (value) => fleetPathOf(location, { status: value })),
  ];
}

function group(label, counts, kind, pathTo) {
  const shown = Object.entries(counts).filter(([, count]) => count > 0);
  return shown.length > 0 && pair(label, el("ul", { class: "plain" }, shown.map(([value, count]) => el("li", null, numberOf(count, stateBadge(kind, value), pathTo(value))))));
}

function numberOf(count, badge, path) {
  const words = [number(count), " ", badge];
  return path ? link(path, words) : words;
}

function factsOf(location) {
  const { id, slug, timezone, owner_name: owner, public: isPublic, status, coordinates, created_at: created, expires_at: expires } = location;
  return [
    pair("Id", el("code", null, id), " ", copyButton(id, "Copy")),
    pair("Address", placeOf(location)),
    coordinates && pair("Coordinates", `${coordinates.latitude}, ${coordinates.longitude}`),
    timezone && pair("Time zone", timezone),
    owner && pair("Owner", owner),
    slug && pair("Slug", slug),
    status && pair("Status", status),
    isPublic !== null && pair("Public", isPublic ? "yes" : "no"),
    pair("Labels", labelsOf(location)),
    created && pair("Created", timeAgo(created)),
    pair("Goes away", expires ? timeAgo(expires) : "never"),
  ];
}

function pair(label, ...content) {
  return el("div", null, el("dt", null, label), el("dd", null, content));
}
