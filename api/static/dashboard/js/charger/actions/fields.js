// The fields of an action's event as a form, and what a person has entered as the event.

import { el } from "../../el.js";
import { nameOf } from "../history.js";

const UNITS = { wh: "Wh", kwh: "kWh", w: "W", s: "s", seconds: "s", percent: "%", soc: "%", version: "" };
const PLACE = ["evse_id", "connector_id"];

/** The nodes of the fields. `example` is an event; what is required, or JSON, is filled in with it. */
export function formOf(fields, example, charger) {
  const others = fields.filter(({ name }) => !PLACE.includes(name));
  const places = fields.filter(({ name }) => PLACE.includes(name));
  return [...others.map((field) => fieldOf(field, example[field.name])), places.length ? placeOf(places, charger) : null];
}

/** The event that is entered. Raises InvalidEntry. */
export function eventOf(form, fields) {
  const event = {};
  for (const field of fields) {
    if (PLACE.includes(field.name)) continue;
    const value = valueOf(form.elements.namedItem(field.name), field);
    if (value !== undefined) event[field.name] = value;
  }
  const place = form.elements.namedItem("place")?.value;
  return place ? { ...event, ...JSON.parse(place) } : event;
}

/** What is entered is no JSON; has the shape of an API's error, to be shown beside its field. */
class InvalidEntry extends Error {
  constructor(name, message) {
    super(message);
    this.detail = message;
    this.items = [{ loc: ["body", "event", name], msg: message }];
  }
}

function fieldOf(field, example) {
  const { name, schema, required } = field;
  const unit = UNITS[name.split("_").at(-1)];
  const label = [words(name), unit ? ` (${unit})` : "", required ? "" : el("span", { class: "muted" }, " optional")];
  const note = schema.description && el("p", { class: "muted", id: `about-${name}` }, schema.description.replaceAll("`", ""));
  const [input, ...rest] = [inputOf(field, example)].flat();
  if (note) input.setAttribute("aria-describedby", note.id);
  return el("div", { class: "entry" }, el("label", { class: "field" }, el("span", {}, label), input), rest, note);
}

function inputOf({ name, schema, required }, example) {
  const type = typeOf(schema);
  if (schema.enum || type === "boolean") {
    const values = schema.enum?.filter((value) => value != null) ?? ["true", "false"];
    const given = required ? (example ?? values[0]) : "";
    return el("select", { name, value: String(given) }, required ? null : el("option", { value: "" }, "not given"), values.map((value) => el("option", { value }, value)));
  }
  if (["object", "array"].includes(type)) {
    const text = example === undefined ? "" : JSON.stringify(example, null, 2);
    return el("textarea", { name, rows: Math.min(12, Math.max(3, text.split("\n").length)), class: "mono", spellcheck: "false", value: text });
  }
  const filled = required && example != null ? example : null;
  if (type === "integer" || type === "number") {
    return el("input", { type: "number", name, min: schema.minimum, max: schema.maximum, step: type === "integer" ? 1 : "any", value: filled });
  }
  const choices = suggestionsIn(schema.description);
  const list = choices.length ? el("datalist", { id: `choices-${name}` }, choices.map((value) => el("option", { value }))) : null;
  return [el("input", { type: "text", name, maxlength: schema.maxLength, list: list?.id, value: filled, spellcheck: "false", autocomplete: "off" }), list];
}

/** The values that a description lists: "One of GroundFault, OverCurrent, ..." */
function suggestionsIn(description = "") {
  const found = /^One of ((?:\w+, )+\w+)/.exec(description);
  return found ? found[1].split(", ").filter((value) => value !== "or") : [];
}

/** A choice of what the charger has; the charger chooses without one. */
function placeOf(fields, { connectors, number_of_connectors: count, ocpp_version }) {
  const names = fields.map(({ name }) => name);
  const isRequired = fields.some(({ required }) => required);
  const places = connectors ?? Array.from({ length: count ?? 1 }, (_, index) => ocpp_version === "OCPP1.6" ? { evse_id: null, connector_id: index + 1 } : { evse_id: index + 1, connector_id: 1 });
  const options = places.map((place) => {
    const number = place.evse_id ?? place.connector_id; // connector_id alone is the number of the EVSE in OCPP 2.0.1
    const value = names.includes("evse_id") && place.evse_id != null ? { evse_id: number } : names.includes("connector_id") ? { connector_id: number } : { evse_id: number };
    return el("option", { value: JSON.stringify(value) }, nameOf(place));
  });
  return el("label", { class: "field entry" }, el("span", {}, "Connector"), el("select", { name: "place" }, isRequired ? null : el("option", { value: "" }, "the charger chooses"), options));
}

/** undefined for what is not given. */
function valueOf(input, { name, schema, required }) {
  const text = input.value.trim();
  const type = typeOf(schema);
  if (text === "") return required && nullable(schema) ? null : required && type === "string" ? "" : undefined;
  if (type === "boolean") return text === "true";
  if (type === "integer" || type === "number") return Number(text);
  if (type !== "object" && type !== "array") return schema.enum ? text : input.value;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidEntry(name, `This is no JSON: ${error.message}`);
  }
}

function typeOf({ type, enum: values }) {
  if (Array.isArray(type)) return type.find((each) => each !== "null");
  return type ?? (values ? "string" : "object");
}

function nullable({ type }) {
  return Array.isArray(type) && type.includes("null");
}

function words(name) {
  const text = name.replaceAll("_", " ").replace(/ (wh|kwh|w|s|seconds|percent)$/, "").replace(/\bid tag\b/, "token").replace(/^soc$/, "state of charge");
  return text[0].toUpperCase() + text.slice(1);
}
