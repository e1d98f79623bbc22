// The view of an address that the dashboard does not have.

import { el, fill } from "../el.js";
import { link } from "../router.js";

export async function show(root) {
  fill(root, el("h1", null, "No such page"), el("p", null, "The dashboard has no page at ", el("code", null, location.pathname), "."), el("p", null, link("/dashboard", "To the fleet")));
}
