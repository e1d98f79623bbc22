"""Strict marshmallow fields for what is no text in a JSON body: numbers, booleans, lists and objects."""

from copy import deepcopy
from math import isfinite
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, fields

from api.http.fields.fields import NO_CONTROLS, REQUIRED, Body, Metadata, Problem, check_bounds
from api.http.turns import in_turns

MAX_INTEGER = 2**53  # what every JSON parser keeps exactly
MAX_LEVELS = 50  # of arrays and objects in one another
MAX_KEYS = 1_000
MAX_KEY_LENGTH = 255


class Number(fields.Field[float]):
    """A number within bounds. A boolean or a text is none."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Problem("Input should be a valid number", "float_type"),
        "invalid": Problem("Input should be a valid number", "float_type"),
    }
    documented_type = "number"

    def __init__(
        self,
        *,
        minimum: float | None = None,
        maximum: float | None = None,
        metadata: Metadata = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        """Without a bound, it is that of the integers which every JSON parser keeps exactly."""
        self._minimum = -MAX_INTEGER if minimum is None else minimum
        self._maximum = MAX_INTEGER if maximum is None else maximum
        bounds = {"minimum": self._minimum, "maximum": self._maximum}
        super().__init__(metadata={"type": self.documented_type, **bounds, **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        number = self._number(value)
        check_bounds(number, self._minimum, self._maximum)
        return number

    def _number(self, value: Any) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise self.make_error("invalid")
        return value


class Integer(Number):
    """A whole number within bounds: 7400 or 7400.0."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "null": Problem("Input should be a valid integer", "int_type"),
        "invalid": Problem("Input should be a valid integer", "int_type"),
    }
    documented_type = "integer"

    def _number(self, value: Any) -> int:
        number = super()._number(value)
        if number != int(number):
            raise self.make_error("invalid")
        return int(number)


class Boolean(fields.Field[bool]):
    """true or false."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Problem("Input should be a valid boolean", "bool_type"),
        "invalid": Problem("Input should be a valid boolean", "bool_type"),
    }

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(metadata={"type": "boolean", **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid")
        return value


class Array(fields.List[Any]):
    """A list of items of one kind, within a length."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Problem("Input should be a valid list", "list_type"),
        "invalid": Problem("Input should be a valid list", "list_type"),
    }

    def __init__(
        self,
        items: fields.Field[Any],
        *,
        min_length: int = 0,
        max_length: int,
        metadata: Metadata = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        self._lengths = (min_length, max_length)
        bounds = {"minItems": min_length, "maxItems": max_length}
        super().__init__(items, metadata={**bounds, **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[Any]:
        if not isinstance(value, list):
            raise self.make_error("invalid")
        check_length(len(value), *self._lengths, what="List")
        return super()._deserialize(in_turns(value), attr, data, **kwargs)


class Nested(fields.Nested):
    """An object with a schema of its own."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Body.error_messages["type"],
        "type": Body.error_messages["type"],
    }


class JsonObject(fields.Field[dict[str, Any]]):
    """An object with any keys, which PostgreSQL can store and no reader chokes on."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Problem("Input should be a valid dictionary", "dict_type"),
        "invalid": Problem("Input should be a valid dictionary", "dict_type"),
    }

    def __init__(
        self,
        *,
        min_length: int = 0,
        max_length: int = MAX_KEYS,
        metadata: Metadata = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        self._lengths = (min_length, max_length)
        shown = {"type": "object", "minProperties": min_length, "maxProperties": max_length, **metadata}
        super().__init__(metadata=shown, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise self.make_error("invalid")
        check_length(len(value), *self._lengths, what="Dictionary")
        check_json(value)
        return value


class Map(JsonObject):
    """An object with any keys and values of one kind."""

    def __init__(self, values: fields.Field[Any], **kwargs: Any) -> None:
        self.values = values
        super().__init__(**kwargs)

    def _bind_to_schema(self, field_name: str, parent: Any) -> None:
        super()._bind_to_schema(field_name, parent)
        self.values = deepcopy(self.values)
        self.values._bind_to_schema(field_name, self)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dict[str, Any]:
        given = super()._deserialize(value, attr, data, **kwargs)
        loaded, problems = {}, {}
        for key, item in given.items():
            try:
                loaded[_checked_key(key)] = self.values.deserialize(item, key, given)
            except ValidationError as error:
                problems[key] = error.messages
        if problems:
            raise ValidationError(problems)
        return loaded


def _checked_key(key: str) -> str:
    if not 1 <= len(key) <= MAX_KEY_LENGTH or not NO_CONTROLS.fullmatch(key):
        message = f"A key should have 1 to {MAX_KEY_LENGTH} characters, and no control characters"
        raise ValidationError(Problem(message, "value_error"))
    return key


def check_length(length: int, shortest: int, longest: int, *, what: str) -> None:
    """Raises ValidationError unless there are as many items as there may be."""
    if length < shortest:
        message = f"{what} should have at least {shortest} item{'s' * (shortest != 1)}"
        raise ValidationError(Problem(message, "too_short", min_length=shortest))
    if length > longest:
        message = f"{what} should have at most {longest} items"
        raise ValidationError(Problem(message, "too_long", max_length=longest))


def check_json(value: object) -> None:
    """Raises ValidationError for too many levels, and for a NUL, which PostgreSQL does not store."""
    level: list[Any] = [value]
    for _ in range(MAX_LEVELS):
        below: list[Any] = []
        for part in level:
            if isinstance(part, dict):
                below += [*part.keys(), *part.values()]
            elif isinstance(part, list):
                below += part
            elif isinstance(part, str) and "\0" in part:
                raise ValidationError(Problem("String should have no NUL character", "value_error"))
        level = below
        if not level:
            return
    raise ValidationError(
        Problem(f"Input should have at most {MAX_LEVELS} levels of arrays and objects", "value_error")
    )
