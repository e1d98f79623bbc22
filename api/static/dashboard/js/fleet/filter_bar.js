// The search field, the filters, the sort order, and a chip for each filter that is set.

import { el, fill } from "../el.js";
import { allBrands, modelsOf } from "./acting/catalog.js";
import { CHOICES, SORTS, chipsOf, isEmpty, toggled } from "./query.js";

const TYPING_MS = 200; // after the last key, before the list is searched
const WIDE = "(min-width: 48rem)"; // the filters are open from this width on, as in fleet.css

const LABELS = { observed: "State", ocpp_state: "Link", status: "Provisioning", ocpp_version: "Version" };

/** The bar with `on.filter({name: value | null}, {isTyping})` and `on.sort(name)`. `locations()` are those of the rows: [[id, name]]. */
export function filterBar(on, { signal, locations }) {
  const search = el("input", {
    type: "search",
    class: "fleet-search",
    placeholder: "Identity or name",
    aria: { label: "Search by identity or name", keyshortcuts: "/" },
    spellcheck: "false",
    maxlength: "255",
  });
  const chips = el("div", { class: "fleet-chips", role: "group", aria: { label: "Filters that are set" } });
  const summary = el("summary", { class: "button quiet" });
  let filters = {};
  onTyping(search, (text) => on.filter({ q: text || null }, { isTyping: true }), signal);

  const choices = Object.entries(CHOICES).map(([key, values]) =>
    adding(LABELS[key], values.map((value) => [value, value]), (value) => on.filter({ [key]: toggled(filters, key, value) })),
  );
  const brand = adding("Brand", [], (value) => on.filter({ brand_slug: value, model_slug: null }));
  const model = adding("Model", [], (value) => on.filter({ model_slug: value }));
  const location = locationField((id) => on.filter({ location_id: id }), locations);
  const details = el("details", { class: "fleet-filters" }, summary, el("div", { class: "fleet-filter-row" }, choices, brand, model, location));
  details.open = matchMedia(WIDE).matches;
  details.addEventListener("toggle", () => details.open && offerCatalog());

  const sort = el("select", { aria: { label: "Sort" } }, Object.entries(SORTS).map(([value, text]) => el("option", { value }, text)));
  sort.addEventListener("change", () => on.sort(sort.value));
  const node = el("div", { class: "fleet-bar" }, el("div", { class: "toolbar" }, search, details, el("label", { class: "fleet-sorting" }, "Sort ", sort)), chips);

  /** The catalog's failure takes the two filters away, and nothing else. */
  async function offerCatalog() {
    try {
      const brands = await allBrands();
      offer(brand, "Brand", brands.map(({ slug, name }) => [slug, name]));
      const chosen = brands.find(({ slug }) => slug === filters.brand_slug);
      const models = chosen ? await modelsOf(chosen.slug) : [];
      offer(model, "Model", models.map(({ slug, name }) => [slug, name]));
    } catch {
      offer(brand, "Brand", []);
    }
  }

  return {
    node,
    search,
    show(query) {
      filters = query.filters;
      if (search.value.trim() !== (filters.q ?? "") && document.activeElement !== search) search.value = filters.q ?? "";
      const shown = chipsOf(filters);
      summary.textContent = shown.length ? `Filters (${shown.length})` : "Filters";
      sort.value = query.sort;
      showChips(chips, shown, filters, on);
      if (details.open) offerCatalog();
    },
  };
}

function showChips(node, shown, filters, on) {
  const hadFocus = node.contains(document.activeElement);
  fill(
    node,
    shown.map(({ text, change }) =>
      el("button", { type: "button", class: "chip", aria: { label: `Remove the filter ${text}` }, on: { click: () => on.filter(change) } }, text, el("span", { aria: { hidden: true } }, " ×")),
    ),
    shown.length > 1
      ? el("button", { type: "button", class: "button quiet", on: { click: () => on.filter(Object.fromEntries(Object.keys(filters).map((key) => [key, null]))) } }, "Clear all")
      : null,
  );
  node.hidden = isEmpty(filters);
  if (hadFocus) node.querySelector("button")?.focus();
}

/** Call `changed(text)` when nothing was typed for a moment, and at once at Enter or when the field is cleared. */
function onTyping(field, changed, signal) {
  let timer = 0;
  const now = () => {
    clearTimeout(timer);
    changed(field.value.trim());
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(now, field.value ? TYPING_MS : 0);
  });
  field.addEventListener("keydown", (event) => {
    if (event.key === "Enter") now();
    if (event.key === "Escape" && !field.value) field.blur();
  });
  signal.addEventListener("abort", () => clearTimeout(timer));
}

/** A list to choose from, which shows its label again afterwards: what is chosen becomes a chip. */
function adding(label, values, choose) {
  const node = el("select", { aria: { label: `Filter by ${label.toLowerCase()}` } });
  offer(node, label, values);
  node.addEventListener("change", () => {
    const { value } = node;
    node.value = "";
    if (value) choose(value);
  });
  return node;
}

function offer(node, label, values) {
  const key = JSON.stringify(values);
  if (node.dataset.offers === key) return;
  node.dataset.offers = key;
  fill(node, el("option", { value: "" }, label), values.map(([value, text]) => el("option", { value }, text)));
  node.hidden = !values.length;
}

function locationField(choose, locations) {
  const list = el("datalist", { id: "fleet-locations" });
  const field = el("input", { type: "text", class: "fleet-location-field", placeholder: "Location id", list: "fleet-locations", maxlength: "128", aria: { label: "Filter by location id" } });
  field.addEventListener("change", () => {
    const id = field.value.trim();
    field.value = "";
    if (id) choose(id);
  });
  field.addEventListener("focus", () => fill(list, locations().map(([id, name]) => el("option", { value: id }, name ?? id))));
  return el("span", {}, field, list);
}
