// The catalog, read when it is first needed and kept while the page is open.

import { api } from "../../client.js";

const LIMIT = 100; // rows on a page, the API's maximum
const read = new Map(); // path → promise of all rows

/** All brands: `{slug, name}`. Raises ApiError. */
export function allBrands() {
  return allRows("/ocpp/catalog/brands");
}

/** The models of a brand: `{slug, name, connector_types, ...}`. Raises ApiError. */
export function modelsOf(brand) {
  return allRows(`/ocpp/catalog/brands/${encodeURIComponent(brand)}/models`);
}

function allRows(path) {
  if (!read.has(path)) {
    const rows = readPages(path);
    rows.catch(() => read.delete(path));
    read.set(path, rows);
  }
  return read.get(path);
}

async function readPages(path) {
  const rows = [];
  for (let page = 1; ; page++) {
    const { data, total } = await api.get(path, { page, limit: LIMIT });
    rows.push(...data);
    if (rows.length >= total || !data.length) return rows;
  }
}
