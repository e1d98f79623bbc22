// What fields for a location's id offer: the newest locations, by name.

import { api } from "../client.js";
import { el } from "../el.js";

const OFFERED = 100;

/** The list for an input whose `list` is this id. Empty if the locations cannot be read: the input takes any id. */
export async function offeredLocations(id) {
  const { data } = await api.get("/ocpp/locations", { limit: OFFERED }).catch(() => ({ data: [] }));
  return el("datalist", { id }, data.map((one) => el("option", { value: one.id }, [one.name, one.city].filter(Boolean).join(", "))));
}
