// Whose chargers are shown: a user's token says it, an admin chooses. The choice is in the address.

import { api } from "../client.js";
import { number } from "../words.js";
import { el, fill } from "../el.js";
import { query, setQuery } from "../router.js";
import { session } from "../session.js";

const KEY = "organization";

/** Take an admin's organization from the address, now and after each change of it. */
export function followAddress() {
  session.chooseOrganization(query().get(KEY));
  addEventListener("popstate", () => session.chooseOrganization(query().get(KEY)));
}

/** The name of the organization; for an admin a field to choose it. */
export function organizationField() {
  if (session.me.role !== "admin") {
    return el("span", { class: "organization" }, el("span", { class: "muted" }, "Organization "), session.organization);
  }
  return field(el("span", { class: "muted" }, "Organization"));
}

/** Show, in place of a view, that an admin has to choose an organization. */
export function showChoice(main) {
  document.title = "Choose an organization · Chargehand";
  const form = field(el("span", null, "Organization"));
  const list = el("ul", { class: "organizations" });
  fill(main, el("div", { class: "view sign-in" }, el("h1", null, "Choose an organization"), el("p", null, "An admin sees the chargers of one organization at a time."), form, list));
  organizations().then((found) =>
    fill(list, found.map(({ organization_id: id, chargers }) => el("li", null, el("button", { type: "button", class: "button quiet", on: { click: () => choose(id) } }, id), ` ${number(chargers)} chargers`))),
  );
}

function field(label) {
  const known = el("datalist", { id: "organizations" });
  const input = el("input", { type: "text", list: "organizations", value: session.organization ?? "", autocomplete: "off", spellcheck: "false" });
  input.addEventListener("focus", async () => fill(known, (await organizations()).map(({ organization_id: id }) => el("option", { value: id }))), { once: true });
  input.addEventListener("change", () => choose(input.value.trim()));
  return el("label", { class: "organization" }, label, " ", input, known);
}

function choose(id) {
  setQuery({ [KEY]: id });
  session.chooseOrganization(id);
}

async function organizations() {
  try {
    return (await api.get("/ocpp/organizations")).data;
  } catch {
    return []; // the field takes any name
  }
}
