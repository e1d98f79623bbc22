// What stands in place of the rows: nothing there yet, nothing that matches, or an error.

import { el } from "../el.js";
import { copyText } from "./acting/copy.js";

/** For an organization without chargers. */
export function noChargers(create) {
  const command = curl();
  const copy = el("button", { type: "button", class: "button quiet", on: { click: () => copyText(command) } }, "Copy");
  return el(
    "div",
    { class: "panel fleet-empty" },
    el("h2", {}, "No chargers yet"),
    el("p", {}, "A charger is a simulated charging station: a process that connects to your CSMS over OCPP and charges as a real one does. It has an identity, a model from the catalog, and the address of a CSMS."),
    el("p", {}, el("button", { type: "button", class: "button primary", on: { click: create } }, "Create a charger")),
    el("p", {}, "Or with the API:"),
    el("pre", { class: "fleet-command-line", tabindex: "0" }, command),
    copy,
  );
}

/** The request that creates a charger, for a shell that has a token. */
function curl() {
  const body = {
    identity: "CP-0001",
    brand_slug: "wallbox",
    model_slug: "wallbox-pulsar-plus",
    connector_type: "Type2",
    ws_url: "ws://127.0.0.1:9000/ocpp",
  };
  return [
    `curl -X POST ${location.origin}/ocpp/chargers \\`,
    '  -H "Authorization: Bearer $CHARGEHAND_TOKEN" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${JSON.stringify(body)}'`,
  ].join("\n");
}

/** For a list whose filters nothing matches; the chips above say which filters. */
export function noneMatch(clear) {
  return el(
    "div",
    { class: "panel fleet-empty" },
    el("h2", {}, "No charger matches"),
    el("p", {}, "Take off a filter above, or all of them."),
    el("button", { type: "button", class: "button", on: { click: clear } }, "Clear all filters"),
  );
}
