// The actions that the API offers, read from its own document, and grouped as a person thinks of them.

import { send } from "../../http.js";

const PREFIX = "/ocpp/commands/";

/** The groups, by the names of the operations. One that none of them names is under "More". */
const GROUPS = {
  "Cable and car": ["plug_connector", "unplug_connector", "ev_requests_energy", "ev_stops_energy", "power_update", "update_soc", "get_ev_state"],
  "Token and session": ["present_token", "start_session", "stop_session", "authorize_id_tag", "authorize_and_start", "start_transaction", "stop_transaction", "suspend_evse", "resume_evse", "update_meter_values"],
  Faults: ["inject_fault", "clear_fault", "get_fault_status", "unlock_connector"],
  "Messages and reboot": ["proxy_message", "trigger_message", "reboot"],
  Configuration: ["configuration", "get_configuration"],
  "Known tokens": ["cache_reset", "get_cache", "local_auth_list", "get_local_auth_list", "get_local_auth_list_version", "clear_local_auth_list", "add_local_auth_list_entry", "delete_local_auth_list_entry"],
  Misbehaviour: ["misbehave", "get_misbehaviour", "stop_misbehaving"],
  Scenario: ["start_scenario", "get_scenario", "stop_scenario"],
};
const MORE = "More";
const OF_EVERY_REQUEST = new Set(["charger_id", "wait", "expires_in"]);

let read; // a promise of the kinds

/** [{group, kinds}], in the order of the groups. Raises what the request raises. */
export async function loadGroups() {
  read ??= readDocument();
  try {
    return groupsOf(kindsOf(await read));
  } catch (error) {
    read = undefined; // to try again
    throw error;
  }
}

async function readDocument() {
  return (await send("GET", "/openapi.json")).json();
}

/**
 * The operations under /ocpp/commands for one charger, from the document. A kind has `name`, `path`, `method`, `summary`,
 * `description`, `fields` ([{name, schema, required}]), `example` (an event), and `variants`: of each value of the field
 * `variantOf` its {summary, fields, required, example}; null without variants.
 */
function kindsOf(document) {
  return Object.entries(document.paths)
    .filter(([path]) => path.startsWith(PREFIX) && !path.includes("{"))
    .flatMap(([path, operations]) =>
      Object.entries(operations)
        .filter(([, operation]) => operation.operationId)
        .map(([method, operation]) => kindOf(document, path, method.toUpperCase(), operation)),
    );
}

function kindOf(document, path, method, operation) {
  const body = operation.requestBody?.content["application/json"];
  const fields = body ? fieldsOfEvent(document, body) : fieldsOfQuery(operation.parameters ?? []);
  const examples = body?.examples ?? {};
  const named = fields.find(({ schema }) => schema["x-variants"]);
  const variants = named && Object.fromEntries(
    Object.entries(named.schema["x-variants"]).map(([value, variant]) => [value, { ...variant, example: examples[value]?.value.event ?? {} }]),
  );
  return {
    name: operation.operationId,
    path: path.slice(PREFIX.length),
    method,
    summary: operation.summary,
    description: variants ? "" : (operation.description ?? ""),
    fields,
    example: examples.charger?.value.event ?? {},
    variantOf: named?.name ?? null,
    variants: variants ?? null,
  };
}

function fieldsOfEvent(document, body) {
  const { properties } = resolved(document, body.schema);
  const event = resolved(document, properties.event ?? {});
  const required = new Set(event.required ?? []);
  return Object.entries(event.properties ?? {}).map(([name, schema]) => ({ name, schema: resolved(document, schema), required: required.has(name) }));
}

function fieldsOfQuery(parameters) {
  return parameters
    .filter(({ in: place, name }) => place === "query" && !OF_EVERY_REQUEST.has(name))
    .map(({ name, schema, required = false, description }) => ({ name, schema: { description, ...schema }, required }));
}

/** The schema that a $ref names, or the first of `anyOf` that is not null. */
function resolved(document, schema) {
  const found = schema.$ref ? document.components.schemas[schema.$ref.split("/").at(-1)] : schema;
  const some = found.anyOf?.find(({ type }) => type !== "null");
  return some ? { ...resolved(document, some), description: found.description } : found;
}

function groupsOf(kinds) {
  const known = new Map(Object.entries(GROUPS).flatMap(([group, names]) => names.map((name) => [name, group])));
  const rank = (kind) => GROUPS[known.get(kind.name)]?.indexOf(kind.name) ?? 0;
  return [...Object.keys(GROUPS), MORE]
    .map((group) => ({ group, kinds: kinds.filter(({ name }) => (known.get(name) ?? MORE) === group).sort((a, b) => rank(a) - rank(b)) }))
    .filter(({ kinds: some }) => some.length);
}

/** "Plug connector", of plug_connector. */
export function titleOf({ name }) {
  const text = name.replaceAll("_", " ").replace(/\bev\b/g, "EV").replace(/\bevse\b/g, "EVSE").replace(/\bsoc\b/g, "state of charge");
  return text[0].toUpperCase() + text.slice(1);
}
