"""The schemas of actions' bodies and answers, made from the table of actions."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any, ClassVar, cast

from marshmallow import Schema, ValidationError, fields, post_load, validates_schema

from api.http.fields import json_fields
from api.http.fields.fields import REQUIRED, Body, Choice, Instant, Problem, Text
from shared.fleet.actions.record import Target
from shared.fleet.actions.table import ActionKind, Field, Variant, load_kinds

MAX_TEXT = 10_000  # characters, where the table gives no bound
MAX_ITEMS = 1_000
MAX_CHARGER_IDS = 1_000

#: JSON Schema's word for a type of the table, where it has another one.
JSON_TYPES = {"instant": "string", "map": "object"}

#: In the document, at the field that names the variant: each one's summary, fields and required fields.
VARIANTS = "x-variants"

ONE_TARGET = Problem("Give exactly one of charger_id and location_id", "value_error")
OF_LOCATION = Problem("charger_ids go with location_id", "value_error")


class ChargerCommandTarget(Body):
    charger_id = Text(min_length=1, max_length=64, required=True, metadata={"example": "dep-123"})

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Target:
        return Target(data["charger_id"])


class CommandTarget(Body):
    """Exactly one of charger_id and location_id."""

    charger_id = Text(min_length=1, max_length=64, allow_none=True)
    location_id = Text(
        min_length=1,
        max_length=128,
        allow_none=True,
        metadata={"description": "All chargers with this location_id."},
    )
    charger_ids = json_fields.Array(
        Text(min_length=1, max_length=64),
        min_length=1,
        max_length=MAX_CHARGER_IDS,
        allow_none=True,
        metadata={"description": "With location_id: only these of its chargers. A repeated id counts once."},
    )

    @validates_schema
    def _check_target(self, data: dict[str, Any], **_: Any) -> None:
        given = [name for name in ("charger_id", "location_id") if data.get(name) is not None]
        if len(given) != 1:
            raise ValidationError(ONE_TARGET)
        if data.get("charger_ids") is not None and given != ["location_id"]:
            raise ValidationError(OF_LOCATION, "charger_ids")

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Target:
        some = data.get("charger_ids")
        return Target(data.get("charger_id"), data.get("location_id"), some and tuple(dict.fromkeys(some)))


def body_of(kind: ActionKind) -> type[Body]:
    """The schema of the body of a POST: {"target": ..., "event": ...}."""
    target = ChargerCommandTarget if kind.target == "charger" else CommandTarget
    event = event_of(kind.name)
    members: dict[str, fields.Field[Any]] = {
        "target": json_fields.Nested(target, required=True, metadata={"minProperties": 1}),
        "event": json_fields.Nested(event, load_default=dict)
        if kind.may_lack_event
        else json_fields.Nested(event, required=True),
    }
    return cast(type[Body], Body.from_dict(members, name=f"{_camel(kind.name)}Body"))


@cache
def event_of(action: str) -> type[Schema]:
    """The schema of the event of an action of the table."""
    kind = next(kind for kind in load_kinds() if kind.name == action)
    name = f"{_camel(kind.name)}Event"
    event = _strict(name, kind.fields, _OneOf if kind.variants else Body)
    event.variants = {variant.name: variant for variant in kind.variants}  # type: ignore[attr-defined]
    if kind.variants:
        documented = cast(dict[str, Any], event().fields[kind.fields[0].name].metadata)
        documented[VARIANTS] = {variant.name: _described(variant) for variant in kind.variants}
    return event


def _described(variant: Variant) -> dict[str, Any]:
    """For a client that makes a form: which of the event's other fields the variant has."""
    return {
        "summary": variant.summary,
        "fields": [field.name for field in variant.fields],
        "required": [field.name for field in variant.fields if field.required],
    }


class _OneOf(Body):
    """An event whose first field names its variant. It has the fields of that variant, and no others."""

    variants: ClassVar[Mapping[str, Variant]]

    @validates_schema
    def _check_variant(self, data: dict[str, Any], **_: Any) -> None:
        named_by = next(iter(self.declared_fields))
        variant = self.variants[data[named_by]]
        theirs = {field.name for field in variant.fields} | {named_by}
        surplus = Problem(f"{named_by} {variant.name} has no such field", "extra_forbidden")
        problems = {name: [surplus] for name in data if name not in theirs} | {
            field.name: [REQUIRED] for field in variant.fields if field.required and field.name not in data
        }
        if problems:
            raise ValidationError(problems)


def _strict(name: str, members: tuple[Field, ...], kind: type[Schema] = Body) -> type[Schema]:
    return kind.from_dict(
        {field.name: _loaded(field, f"{name}_{field.name}") for field in members}, name=name
    )


def _loaded(field: Field, name: str) -> fields.Field[Any]:
    """The field of a body. `name` is for the schema of an object, in the document."""
    common: dict[str, Any] = {
        "required": field.required,
        "allow_none": field.nullable,
        "metadata": {"description": field.description} if field.description else {},
    }
    match field.type:
        case "integer" | "number":
            number = json_fields.Integer if field.type == "integer" else json_fields.Number
            return number(minimum=field.minimum, maximum=field.maximum, **common)
        case "boolean":
            return json_fields.Boolean(**common)
        case "instant":
            return InstantText(**common)
        case "string":
            return _loaded_text(field, common)
    return _loaded_container(field, name, common)


def _loaded_text(field: Field, common: dict[str, Any]) -> fields.Field[Any]:
    if field.choices:
        return Choice(field.choices, **common)
    longest = MAX_TEXT if field.max_length is None else field.max_length
    return Text(min_length=field.min_length or 0, max_length=longest, **common)


def _loaded_container(field: Field, name: str, common: dict[str, Any]) -> fields.Field[Any]:
    if field.type == "object":
        return (
            json_fields.JsonObject(**common)
            if field.fields is None
            else json_fields.Nested(_strict(name, field.fields), **common)
        )
    items = json_fields.JsonObject() if field.items is None else _loaded(field.items, f"{name}Item")
    container = json_fields.Array if field.type == "array" else json_fields.Map
    longest = MAX_ITEMS if field.max_length is None else field.max_length
    return container(items, min_length=field.min_length or 0, max_length=longest, **common)


class InstantText(Instant):
    """A point in time that stays the text of the request: the charger reads it."""

    default_error_messages = {"required": REQUIRED}  # noqa: RUF012  # marshmallow's own name and shape

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        super()._deserialize(value, attr, data, **kwargs)
        return value


def result_of(kind: ActionKind) -> type[Schema]:
    """The schema of an answer that is the charger's result. What a charger sends is not converted."""
    members = {
        field.name: fields.Raw(
            required=field.required,
            allow_none=field.nullable,
            metadata=_shown(replace(field, nullable=False)),  # the document adds it
        )
        for field in kind.result_fields or ()
    }
    return Schema.from_dict(cast(Any, members), name=f"{_camel(kind.name)}Result")


def _shown(field: Field) -> dict[str, Any]:
    """The field as JSON Schema."""
    type_ = JSON_TYPES.get(field.type, field.type)
    schema: dict[str, Any] = {"type": [type_, "null"] if field.nullable else type_}
    if field.description:
        schema["description"] = field.description
    if field.choices:
        schema["enum"] = [*field.choices, *([None] if field.nullable else [])]
    if field.type == "array":
        schema["items"] = _shown(field.items) if field.items else {}
    if field.type == "map":
        schema["additionalProperties"] = _shown(field.items) if field.items else {}
    if field.fields is not None:
        schema["properties"] = {member.name: _shown(member) for member in field.fields}
    return schema


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
