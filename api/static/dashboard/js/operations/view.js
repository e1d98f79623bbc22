// The view "Operations".

import { el, fill } from "../el.js";

export async function show(root, params, { signal }) {
  void [params, signal];
  fill(root, el("h1", null, "Operations"));
}
