"""Checks payloads against the JSON schema files that come with the `ocpp` library.

The library checks with `jsonschema`, whose import alone costs a charger 5 MB and 60 ms
(docs/ocpp.md). Its OCPP schemas use a dozen keywords, and this module supports only those: another one
is an error. A test compares the results with the library's own.
"""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

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
    """Raises SchemaViolation. The action is one that `is_known_action` knows."""
    schema = _load(version, action, answer)
    _check(payload, schema, schema.get("definitions", {}), "payload")


@cache
def _load(version: Version, action: str, answer: bool) -> Schema:
    path = _find_file(version, action, answer=answer)
    if path is None:
        raise LookupError(f"no {version.name} schema for {action}")
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
    for keyword, rule in schema.items():
        if keyword in RULES and not RULES[keyword](value, rule, schema):
            raise SchemaViolation(keyword, f"{where}: {_explain(keyword, rule, value, schema)}")
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        for name, part in value.items():
            if name in properties:
                _check(part, properties[name], definitions, f"{where}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, part in enumerate(value):
            _check(part, schema["items"], definitions, f"{where}[{index}]")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
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
    "multipleOf": lambda value, rule, _: (
        not _is_number(value) or round(value / rule) == round(value / rule, 6)
    ),
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
