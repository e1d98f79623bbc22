"""The table of actions, from shared/actions.json, which scripts/actions.py writes from the simulator's own table."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

FILE = Path(__file__).parents[2] / "actions.json"

FieldType = Literal["string", "integer", "number", "boolean", "instant", "array", "object", "map"]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an action's event, or of its result."""

    type: FieldType
    name: str = ""  #: empty for the items of an array and the values of a map
    required: bool = False
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None
    min_length: int | None = None  #: of a string; of an array and a map, the number of items
    max_length: int | None = None
    choices: tuple[str, ...] | None = None
    items: "Field | None" = None  #: of an array, and the values of a map
    fields: "tuple[Field, ...] | None" = None  #: of an object; without them it may have any keys
    description: str = ""
    secret: bool = False  #: never shown: masked in the row and sealed beside it

    @staticmethod
    def of(raw: Mapping[str, Any]) -> "Field":
        """The field that the file describes. Keys that a newer file has are ignored."""
        known = {name: value for name, value in raw.items() if name in Field.__slots__}
        if "items" in known:
            known["items"] = Field.of(known["items"])
        if "fields" in known:
            known["fields"] = _fields(known["fields"])
        if "choices" in known:
            known["choices"] = tuple(known["choices"])
        return Field(**known)


@dataclass(frozen=True, slots=True)
class Variant:
    """One kind of an action that has a field `kind`."""

    name: str  #: the value of `kind`
    summary: str
    fields: tuple[Field, ...]  #: which of the action's fields it takes, besides `kind`
    example: Mapping[str, Any]  #: an event

    @staticmethod
    def of(raw: Mapping[str, Any]) -> "Variant":
        """The kind that the file describes. Keys that a newer file has are ignored."""
        return Variant(raw["name"], raw["summary"], _fields(raw["fields"]), raw["example"])


@dataclass(frozen=True, slots=True)
class ActionKind:
    """A row of the table: one operation under /ocpp/commands."""

    name: str  #: as plug_connector; `event_type` of the contract
    path: str  #: as plug-connector
    summary: str
    fields: tuple[Field, ...]
    method: Literal["POST", "GET", "DELETE"] = "POST"
    #: The answer's shape: the charger's result, counts and queued commands, or one queued command.
    answer: Literal["result", "queued", "message"] = "queued"
    target: Literal["charger", "charger_or_location"] = "charger_or_location"
    description: str = ""
    example: Mapping[str, Any] | None = None  #: an event
    result_fields: tuple[Field, ...] | None = None
    result_example: Mapping[str, Any] | None = None
    variants: tuple[Variant, ...] = ()  #: then `fields` has those of all of them
    rejected_status: Literal[400, 422] = 422  #: of the answer when the charger or its CSMS said no

    @property
    def may_lack_event(self) -> bool:
        """A body without `event` means an empty one."""
        return not any(field.required for field in self.fields)

    @staticmethod
    def of(raw: Mapping[str, Any]) -> "ActionKind":
        """The row that the file describes. Keys that a newer file has are ignored."""
        known = {name: value for name, value in raw.items() if name in ActionKind.__slots__}
        known["fields"] = _fields(known["fields"])
        if known.get("result_fields") is not None:
            known["result_fields"] = _fields(known["result_fields"])
        if known.get("variants") is not None:
            known["variants"] = tuple(map(Variant.of, known["variants"]))
        return ActionKind(**known)


@cache
def load_kinds() -> tuple[ActionKind, ...]:
    """All rows of the file, in its order."""
    return tuple(map(ActionKind.of, json.loads(FILE.read_text(encoding="utf-8"))))


def _fields(raw: list[Mapping[str, Any]]) -> tuple[Field, ...]:
    return tuple(map(Field.of, raw))
