// The list's query: what the page's address, the API and a row have to do with each other.
// The address uses the API's own names, so a link to the page reads like a request.

/** The filters with a fixed list of values. The API takes several of each. */
export const CHOICES = {
  observed: ["running", "starting", "stopping", "stopped", "unknown"],
  ocpp_state: ["accepted", "connected", "connecting", "rejected", "disconnected"],
  status: ["PENDING", "PROVISIONING", "READY", "FAILED"],
  ocpp_version: ["OCPP1.6", "OCPP2.0.1"],
};

/** The filters with one value each. */
const SINGLE = ["q", "identity", "brand_slug", "model_slug", "location_id", "placement", "host_id", "labels", "attention"];

export const FILTERS = [...SINGLE, ...Object.keys(CHOICES)];

/** The filters that the counts on top do not have, because each count is one of their values. */
const COUNTED = ["attention", "observed", "ocpp_state", "status"];

export const SORTS = {
  attention: "needs attention first",
  "-created_at": "newest first",
  created_at: "oldest first",
  identity: "identity, A to Z",
  "-identity": "identity, Z to A",
  "-state_since": "changed last first",
  state_since: "unchanged longest first",
};
export const DEFAULT_SORT = "attention";
export const PAGE_SIZES = [25, 50, 100];

const NAMES = {
  q: "text",
  identity: "identity",
  brand_slug: "brand",
  model_slug: "model",
  location_id: "location",
  placement: "placement",
  host_id: "host",
  labels: "label",
  observed: "state",
  ocpp_state: "link",
  status: "provisioning",
  ocpp_version: "version",
};

/** The list that an address means: `{filters, sort, page, limit}`. What it does not know it leaves to the API to refuse. */
export function readQuery(parameters) {
  const filters = {};
  for (const key of FILTERS) {
    const value = parameters.get(key);
    if (value) filters[key] = value;
  }
  return {
    filters,
    sort: parameters.get("sort") || DEFAULT_SORT,
    page: wholeNumber(parameters.get("page"), 1),
    limit: wholeNumber(parameters.get("limit"), PAGE_SIZES.at(-1)),
  };
}

function wholeNumber(text, otherwise) {
  return /^[1-9][0-9]{0,5}$/.test(text ?? "") ? Number(text) : otherwise;
}

/** The values of a filter that may have several. */
export function valuesOf(filters, key) {
  return filters[key] ? filters[key].split(",") : [];
}

/** The filter with this value added if it lacks it, else removed: the new text, or null when none is left. */
export function toggled(filters, key, value) {
  const values = valuesOf(filters, key);
  const left = values.includes(value) ? values.filter((one) => one !== value) : [...values, value];
  return left.join(",") || null;
}

/** What the counts on top count: the filters that say which part of the fleet is meant, without states. */
export function scopeOf(filters) {
  return Object.fromEntries(Object.entries(filters).filter(([key]) => !COUNTED.includes(key)));
}

export function isEmpty(filters) {
  return Object.keys(filters).length === 0;
}

/** A chip for each value that is set: `{key, text, change}`, where `change` is what takes it off. */
export function chipsOf(filters) {
  return Object.entries(filters).flatMap(([key, text]) => {
    if (key === "attention") {
      const words = text === "true" ? "needs attention" : text === "false" ? "needs no attention" : `attention: ${text}`;
      return [{ key, text: words, change: { attention: null } }];
    }
    if (!(key in CHOICES) && key !== "labels") return [{ key, text: `${NAMES[key]}: ${text}`, change: { [key]: null } }];
    return valuesOf(filters, key).map((value) => ({
      key,
      text: `${NAMES[key]}: ${value}`,
      change: { [key]: toggled(filters, key, value) },
    }));
  });
}

/** Whether the row still belongs to the list with these filters, as the API would say. */
export function matches(filters, row) {
  return Object.entries(filters).every(([key, wanted]) => {
    switch (key) {
      case "q":
        return `${row.identity}\n${row.name ?? ""}`.toLowerCase().includes(wanted.toLowerCase());
      case "attention":
        return String(row.runtime.attention) === wanted;
      case "observed":
        return wanted.split(",").includes(row.runtime.observed);
      case "ocpp_state":
        return wanted.split(",").includes(row.runtime.ocpp.state);
      case "status":
      case "ocpp_version":
        return wanted.split(",").includes(row[key]);
      case "placement":
      case "host_id":
        return row.runtime[key] === wanted;
      case "labels":
        return wanted.split(",").every((label) => hasLabel(row.labels, label));
      default:
        return row[key] === wanted;
    }
  });
}

/** Whether the labels have this one: `run:1234` with the value, `run` with any. */
function hasLabel(labels, label) {
  const [name, ...value] = label.split(":");
  return Object.hasOwn(labels, name) && (!value.length || labels[name] === value.join(":"));
}
