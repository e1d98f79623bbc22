"""The fields of an event: their types and bounds, and the check of what a client sent."""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from simulator.clock import parse_time

FieldType = Literal["string", "integer", "number", "boolean", "instant", "array", "object", "map"]


class BadField(ValueError):
    """An event breaks a field's rules. The message names the field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field, or an item of a list. An optional field may be null, which means that it is absent."""

    name: str = ""
    type: FieldType
    description: str = ""
    required: bool = False
    nullable: bool = False
    minimum: float | None = None  #: of a number
    maximum: float | None = None
    min_length: int | None = None  #: of a text, a list or a map
    max_length: int | None = None
    choices: tuple[str, ...] = ()
    items: "Field | None" = None  #: of a list or a map
    fields: tuple["Field", ...] = ()  #: of an object; without them it may have any
    secret: bool = False  #: shown to nobody

    def describe(self) -> dict[str, Any]:
        """For shared/actions.json: without what does not apply."""
        described: dict[str, Any] = {
            "name": self.name,
            "type": self.type,
            "required": self.required,
            "nullable": self.nullable,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "min_length": self.min_length,
            "max_length": self.max_length,
            "choices": list(self.choices),
            "items": self.items.describe() if self.items else None,
            "fields": [each.describe() for each in self.fields],
            "description": self.description,
            "secret": self.secret,
        }
        kept = ("required", "nullable") if self.name else ()
        return {
            key: value
            for key, value in described.items()
            if key in kept or not (value is None or value is False or value in ([], ""))
        }


def read_fields(fields: Sequence[Field], given: Mapping[str, Any], where: str = "") -> dict[str, Any]:
    """The fields that are there, checked. Raises BadField."""
    unknown = [str(name) for name in given if name not in {field.name for field in fields}]
    if unknown:
        raise BadField(f"{where}{unknown[0][:50]} is not a field of it")
    read = {}
    for field in fields:
        value = given.get(field.name)
        if value is not None:
            check(field, value, f"{where}{field.name}")
            read[field.name] = value
        elif field.required and (field.name not in given or not field.nullable):
            raise BadField(f"{where}{field.name} is missing")
    return read


def check(field: Field, value: Any, where: str) -> None:
    """Raises BadField for a value that is no such field."""
    if not TYPES[field.type](value):
        raise BadField(f"{where} is not {ARTICLES.get(field.type, 'a')} {field.type}")
    _check_bounds(field, value, where)
    if field.choices and value not in field.choices:
        raise BadField(f"{where} is not one of {', '.join(field.choices)}")
    _check_parts(field, value, where)


def _check_bounds(field: Field, value: Any, where: str) -> None:
    if field.type in ("integer", "number"):
        _check_range(value, field.minimum, field.maximum, where)
    elif isinstance(value, Sized):
        _check_range(len(value), field.min_length, field.max_length, f"the length of {where}")


def _check_range(size: float, minimum: float | None, maximum: float | None, where: str) -> None:
    if minimum is not None and size < minimum:
        raise BadField(f"{where} is less than {minimum:g}")
    if maximum is not None and size > maximum:
        raise BadField(f"{where} is more than {maximum:g}")


def _check_parts(field: Field, value: Any, where: str) -> None:
    if field.type == "object" and field.fields:
        read_fields(field.fields, value, f"{where}.")
    elif field.items and field.type == "map":
        for name, item in value.items():
            check(field.items, item, f"{where}.{str(name)[:50]}")
    elif field.items:
        for number, item in enumerate(value):
            check(field.items, item, f"{where}[{number}]")


def _is_instant(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        parse_time(value)
    except ValueError:
        return False
    return True


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_integer(value) or (isinstance(value, float) and isfinite(value))


TYPES: dict[FieldType, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "integer": _is_integer,
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "instant": _is_instant,
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "map": lambda value: isinstance(value, dict),
}

ARTICLES = {"integer": "an", "instant": "an", "array": "an", "object": "an"}
