"""Checks payloads against the JSON schema files that come with the `ocpp` library.

The library checks with `jsonschema`, whose import alone costs a charger 5 MB and 60 ms
(docs/ocpp.md). Its OCPP schemas use a dozen keywords, and this module supports only those: another one
is an error. A test compares the results with the library's own.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any, TypeGuard

import ocpp  # type: ignore[import-untyped]

from simulator.versions import Version

Schema = Mapping[str, Any]

SCHEMA_ROOT = Path(ocpp.__path__[0])


class SchemaViolation(Exception):
    """Says what is wrong with a payload; `keyword` is the schema keyword that it breaks."""

    def __init__(self, keyword: str, message: str) -> None:
        super().__init__(message)
        self.keyword = keyword


def is_known_action(version: Version, action: str) -> bool:
    return _find_file(version, action, answer=False) is not None


def check_payload(version: Version, action: str, payload: object, *, answer: bool) -> None:
    """Raises SchemaViolation, also for an action that the version does not have."""
    schema = _load(version, action, answer)
    _check(payload, schema, schema.get("definitions", {}), "payload")


def plain(name: str) -> str:
    """A name without letter case and separators: `id_tag` and `idTag` are the same."""
    return name.replace("_", "").lower()


def spell(version: Version, action: str, payload: Mapping[str, object]) -> dict[str, Any]:
    """A request with its fields spelt as in the schema. A field that the schema does not have stays as it is."""
    schema = _load(version, action, answer=False)
    spelt: dict[str, Any] = _spell(payload, schema, schema.get("definitions", {}))
    return spelt


def _spell(value: Any, schema: Schema, definitions: Mapping[str, Schema]) -> Any:
    if "$ref" in schema:
        schema = definitions[schema["$ref"]]
    if isinstance(value, list):
        return [_spell(part, schema.get("items", {}), definitions) for part in value]
    if not isinstance(value, Mapping):
        return value
    properties = schema.get("properties", {})
    names: dict[str, str] = {plain(name): name for name in properties}
    spelt: dict[str, Any] = {}
    for name, part in value.items():
        known = name if name in properties else names.get(plain(name))
        if known is None or known in spelt:
            spelt[name] = part
        else:
            spelt[known] = _spell(part, properties[known], definitions)
    return spelt


def tolerate(version: Version, action: str, payload: object, *, answer: bool) -> tuple[Any, list[str]]:
    """A payload without those of its fields that nobody needs and that break the schema, and what was wrong with it.

    These are unknown fields, and optional ones that are null; in an answer also optional fields that are invalid in
    another way, and a whole number may be written as a decimal (`300.0`). Raises SchemaViolation if the rest is invalid.
    """
    schema = _load(version, action, answer)
    reader = _TolerantReader(schema.get("definitions", {}), answer)
    return reader.read(payload, schema, "payload"), reader.oddities


def values_of(version: Version, action: str, field: str) -> list[str]:
    """The values that the schema of a request lists for one of its fields."""
    schema = _load(version, action, False)
    rule = schema["properties"][field]
    values: list[str] = schema.get("definitions", {}).get(rule.get("$ref"), rule)["enum"]
    return values


def listed_fields(
    version: Version, action: str, payload: object, *, answer: bool
) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects within a payload and the names of those of their fields whose values the schema lists."""
    schema = _load(version, action, answer)
    return _listed(payload, schema, schema.get("definitions", {}))


def _listed(
    value: object, schema: Schema, definitions: Mapping[str, Schema]
) -> Iterator[tuple[dict[str, Any], str]]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"]]
    if isinstance(value, list) and "items" in schema:
        for part in value:
            yield from _listed(part, schema["items"], definitions)
    if not isinstance(value, dict):
        return
    for name, rule in schema.get("properties", {}).items():
        if name in value:
            if "enum" in definitions.get(rule.get("$ref", ""), rule):
                yield value, name
            yield from _listed(value[name], rule, definitions)


@cache
def _load(version: Version, action: str, answer: bool) -> Schema:
    path = _find_file(version, action, answer=answer)
    if path is None:
        raise SchemaViolation("action", f"{version.name} does not have it")
    return _reduce(json.loads(path.read_text("utf-8-sig")))


def _find_file(version: Version, action: str, *, answer: bool) -> Path | None:
    """None for an unknown action. It may come from the network, so it must not name any other file."""
    if not (action.isascii() and action.isalnum()) or action.endswith(("Request", "Response")):
        return None
    suffix = "Response" if answer else version.request_suffix
    path = SCHEMA_ROOT / version.schema_set / "schemas" / f"{action}{suffix}.json"
    return path if path.is_file() else None


# Not checked: prose, defaults, and `format`; the library does not check those either.
IGNORED = frozenset({"$schema", "$id", "title", "description", "comment", "javaType", "default", "format"})


def _reduce(schema: Schema) -> Schema:
    """The schema without its prose. Raises LookupError for a keyword that this module does not support."""
    reduced: dict[str, Any] = {}
    for keyword, rule in schema.items():
        if keyword in IGNORED:
            continue
        if keyword in ("properties", "definitions"):
            reduced[keyword] = {name: _reduce(part) for name, part in rule.items()}
        elif keyword == "items":
            reduced[keyword] = _reduce(rule)
        elif keyword in RULES:
            reduced[keyword] = rule
        elif keyword == "$ref":
            reduced[keyword] = rule.rpartition("/")[2]
        elif keyword != "additionalItems":  # has no effect beside one schema for all items
            raise LookupError(f"the schema keyword {keyword} is not supported")
    return reduced


def _check(value: object, schema: Schema, definitions: Mapping[str, Schema], where: str) -> None:
    if "$ref" in schema:
        schema = definitions[schema["$ref"]]
    _check_alone(value, schema, where)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, part in value.items():
            if name in properties:
                _check(part, properties[name], definitions, f"{where}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, part in enumerate(value):
            _check(part, schema["items"], definitions, f"{where}[{index}]")


def _check_alone(value: object, schema: Schema, where: str) -> None:
    """Checks a value without its parts."""
    for keyword, rule in schema.items():
        if keyword in RULES and not RULES[keyword](value, rule, schema):
            raise SchemaViolation(keyword, f"{where}: {_explain(keyword, rule, value, schema)}")


class _TolerantReader:
    def __init__(self, definitions: Mapping[str, Schema], answer: bool) -> None:
        self._definitions = definitions
        self._answer = answer
        self.oddities: list[str] = []

    def read(self, value: object, schema: Schema, where: str) -> object:
        if "$ref" in schema:
            schema = self._definitions[schema["$ref"]]
        if isinstance(value, dict) and "properties" in schema:
            value = self._read_object(value, schema, where)
        elif isinstance(value, list) and "items" in schema:
            value = [
                self.read(part, schema["items"], f"{where}[{index}]") for index, part in enumerate(value)
            ]
        elif self._answer and schema.get("type") == "integer" and _is_whole(value):
            self.oddities.append(f"{where}: a whole number is written as {value}")
            value = int(value)
        _check_alone(value, schema, where)
        return value

    def _read_object(self, value: Mapping[str, object], schema: Schema, where: str) -> dict[str, object]:
        kept: dict[str, object] = {}
        for name, part in value.items():
            if name not in schema["properties"]:
                if schema.get("additionalProperties") is False:
                    self.oddities.append(f"{where}: has unknown {name[:50]}")
                else:
                    kept[name] = part
                continue
            try:
                kept[name] = self.read(part, schema["properties"][name], f"{where}.{name}")
            except SchemaViolation as violation:
                if name in schema.get("required", ()) or not (self._answer or part is None):
                    raise
                self.oddities.append(str(violation))
        return kept


def _is_whole(value: object) -> TypeGuard[float]:
    return isinstance(value, float) and value.is_integer()


def _is_number(value: object) -> bool:
    """Not one that JSON can write and no charger can compute with: 1e999 is infinite."""
    return (isinstance(value, float) and isfinite(value)) or _is_integer(value)


def _is_integer(value: object) -> bool:
    """At most 64 bits; OCPP 2.0.1 part 2, 2.1 has 32, but a CSMS may count its transactions beyond."""
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": _is_integer,
    "number": _is_number,
}

# By keyword: whether it holds for (value, rule, schema). As in JSON Schema, a keyword holds for every value of a
# type that it does not apply to.
RULES: dict[str, Callable[[Any, Any, Schema], bool]] = {
    "type": lambda value, rule, _: TYPES[rule](value),
    "required": lambda value, rule, _: not isinstance(value, dict) or all(name in value for name in rule),
    "additionalProperties": lambda value, rule, schema: (
        rule is not False
        or not isinstance(value, dict)
        or value.keys() <= schema.get("properties", {}).keys()
    ),
    "enum": lambda value, rule, _: value in rule,
    "maxLength": lambda value, rule, _: not isinstance(value, str) or len(value) <= rule,
    "minItems": lambda value, rule, _: not isinstance(value, list) or len(value) >= rule,
    "maxItems": lambda value, rule, _: not isinstance(value, list) or len(value) <= rule,
    "minimum": lambda value, rule, _: not _is_number(value) or value >= rule,
    "maximum": lambda value, rule, _: not _is_number(value) or value <= rule,
    # Always 0.1 in these schemas: at most one decimal.
    "multipleOf": lambda value, rule, _: not _is_number(value) or _is_whole(round(value / rule, 6)),
}


def _explain(keyword: str, rule: object, value: object, schema: Schema) -> str:
    match keyword, value:
        case "required", dict():
            return f"lacks {', '.join(name for name in schema['required'] if name not in value)}"
        case "additionalProperties", dict():
            return f"has unknown {', '.join(sorted(value.keys() - schema.get('properties', {}).keys()))}"[
                :200
            ]
        case "type", _:
            return f"must be of type {rule}"
        case "enum", _:
            return f"{str(value)[:50]!r} is none of the values that the schema lists"
        case _:
            return f"{keyword} is {rule}"
