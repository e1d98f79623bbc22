"""Strict marshmallow fields, with error messages in the contract's words."""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from marshmallow import Schema, ValidationError, fields, post_load

from api.http.fields.ws_url import CHARACTERS, InvalidWsUrl, normalise_ws_url
from api.resources import resources
from shared.destinations import MAX_URL_LENGTH

Metadata = Mapping[str, Any]  #: the part of a field that only the OpenAPI document shows

NO_CONTROLS = re.compile(r"[^\x00-\x1f\x7f-\x9f]*")
MAX_NUMBER = 999_999_999  # of a query; fits an integer column of PostgreSQL


def documented(pattern: re.Pattern[str]) -> str:
    """The pattern for the OpenAPI document, where one without anchors may match anywhere."""
    return f"^{pattern.pattern}$"


class Problem(str):
    """A validation message with the `type` and `ctx` of its item (contract 3.1)."""

    __slots__ = ("ctx", "type")

    def __new__(cls, message: str, type_: str, **ctx: Any) -> "Problem":
        problem = super().__new__(cls, message)
        problem.type = type_
        problem.ctx = ctx
        return problem

    type: str
    ctx: dict[str, Any]

    def __deepcopy__(self, _: object) -> "Problem":
        return self  # immutable

    def format(self, *args: object, **kwargs: object) -> "Problem":
        """As str.format, which is what marshmallow does with messages; stays a Problem."""
        return Problem(super().format(*args, **kwargs), self.type, **self.ctx)


REQUIRED = Problem("Field required", "missing")


class Text(fields.String):
    """A string without control characters, within a length. Other types are not converted."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "required": REQUIRED,
        "null": Problem("Input should be a valid string", "string_type"),
        "invalid": Problem("Input should be a valid string", "string_type"),
    }

    def __init__(
        self,
        *,
        max_length: int,
        min_length: int = 0,
        metadata: Metadata = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        self._lengths = (min_length, max_length)
        bounds = {"minLength": min_length, "maxLength": max_length, "pattern": documented(NO_CONTROLS)}
        super().__init__(metadata={**bounds, **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise self.make_error("invalid")
        shortest, longest = self._lengths
        if len(value) < shortest:
            message = f"String should have at least {shortest} character{'s' * (shortest != 1)}"
            raise ValidationError(Problem(message, "string_too_short", min_length=shortest))
        if len(value) > longest:
            message = f"String should have at most {longest} characters"
            raise ValidationError(Problem(message, "string_too_long", max_length=longest))
        if not NO_CONTROLS.fullmatch(value):
            raise ValidationError(Problem("String should have no control characters", "value_error"))
        return self._checked(value)

    def _checked(self, value: str) -> Any:
        return value


class Identity(Text):
    """OCPP's identifierString, with spaces inside as in OCPP-J 1.6 (3.1.1: `RDAM 123`); safe as the last segment of a URL."""

    PATTERN = re.compile(r"(?!\.{1,2}$)(?! )[A-Za-z0-9*\-_=:+|@. ]{0,47}[A-Za-z0-9*\-_=:+|@.]")

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        bounds = {"pattern": documented(self.PATTERN)}
        super().__init__(min_length=1, max_length=48, metadata={**bounds, **metadata}, **kwargs)

    @classmethod
    def fits(cls, text: str) -> bool:
        return cls.PATTERN.fullmatch(text) is not None

    def _checked(self, value: str) -> str:
        if not self.fits(value):
            raise ValidationError(
                Problem(
                    "Identity should have only letters, digits and *-_=:+|@. and spaces between them",
                    "string_pattern_mismatch",
                )
            )
        return value


class Choice(Text):
    """One of the values, in upper or lower case; loads as the value is spelled in the list."""

    def __init__(
        self, choices: Iterable[str], *, metadata: Metadata = MappingProxyType({}), **kwargs: Any
    ) -> None:
        self._choices = {choice.lower(): str(choice) for choice in choices}
        self._expected = " or ".join(f"'{choice}'" for choice in self._choices.values())
        super().__init__(max_length=64, metadata=metadata, **kwargs)
        documented = self._documented(allow_none=bool(kwargs.get("allow_none")))
        self.metadata = {**documented, **metadata}  # instead of the bounds of a text

    def _documented(self, *, allow_none: bool) -> Metadata:
        return {"enum": [*self._choices.values(), *([None] if allow_none else [])]}

    def _checked(self, value: str) -> Any:
        return self._choice(value)

    def _choice(self, value: str) -> str:
        try:
            return self._choices[value.lower()]
        except KeyError:
            message = f"Input should be {self._expected}"
            raise ValidationError(Problem(message, "literal_error", expected=self._expected)) from None


class Choices(Choice):
    """One or more of the values, separated by commas; loads as a tuple without duplicates."""

    def _documented(self, *, allow_none: bool) -> Metadata:
        one = "|".join(map(re.escape, self._choices.values()))
        return {"pattern": f"^({one})(,({one}))*$"}

    def _checked(self, value: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(self._choice, value.split(","))))


class WsUrl(Text):
    """The URL that a charger connects to; loads as its normal form (api/http/fields/ws_url.py)."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(
            min_length=1,
            max_length=MAX_URL_LENGTH,
            metadata={"format": "uri", "pattern": documented(CHARACTERS), **metadata},
            **kwargs,
        )

    def _checked(self, value: str) -> str:
        try:
            return normalise_ws_url(value, resources().settings.destinations)
        except InvalidWsUrl as error:
            raise ValidationError(Problem(str(error), "value_error")) from error


def check_bounds(number: float, minimum: float, maximum: float) -> None:
    """Raises ValidationError unless the number is within the bounds."""
    if number < minimum:
        message = f"Input should be greater than or equal to {minimum:.16g}"
        raise ValidationError(Problem(message, "greater_than_equal", ge=minimum))
    if number > maximum:
        message = f"Input should be less than or equal to {maximum:.16g}"
        raise ValidationError(Problem(message, "less_than_equal", le=maximum))


class QueryInteger(fields.Integer):
    """A whole number of a query, in plain ASCII digits: no 1_000, no +5, no other script."""

    DIGITS = re.compile(r"-?[0-9]{1,18}")
    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "invalid": Problem("Input should be a valid integer", "int_parsing"),
    }

    def __init__(
        self,
        *,
        minimum: int,
        maximum: int = MAX_NUMBER,
        metadata: Metadata = MappingProxyType({}),
        **kwargs: Any,
    ) -> None:
        self._minimum, self._maximum = minimum, maximum
        bounds = {"minimum": minimum, "maximum": maximum}
        super().__init__(metadata={**bounds, **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> int:
        if not isinstance(value, str) or not self.DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        number = int(value)
        check_bounds(number, self._minimum, self._maximum)
        return number


class QueryNumber(fields.Float):
    """A number of a query, in plain ASCII digits with or without a fraction."""

    DIGITS = re.compile(r"-?[0-9]{1,9}(\.[0-9]{1,9})?")
    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "invalid": Problem("Input should be a valid number", "float_parsing"),
    }

    def __init__(
        self, *, minimum: float, maximum: float, metadata: Metadata = MappingProxyType({}), **kwargs: Any
    ) -> None:
        self._minimum, self._maximum = minimum, maximum
        super().__init__(metadata={"minimum": minimum, "maximum": maximum, **metadata}, **kwargs)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> float:
        if not isinstance(value, str) or not self.DIGITS.fullmatch(value):
            raise self.make_error("invalid")
        number = float(value)
        check_bounds(number, self._minimum, self._maximum)
        return number


class QueryFlag(fields.Boolean):
    """`true` or `false` in a query, in upper or lower case."""

    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "invalid": Problem(
            "Input should be 'true' or 'false'", "literal_error", expected="'true' or 'false'"
        ),
    }

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        flag = {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None
        if flag is None:
            raise self.make_error("invalid")
        return flag


def instant_text(at: datetime) -> str:
    """A time as answers and events have it: RFC 3339, in UTC."""
    return at.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


class Instant(fields.DateTime):
    """A point in time: RFC 3339 with a zone when read, UTC with Z when written."""

    RFC3339 = re.compile(
        r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,9})?)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
    )
    default_error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "invalid": Problem("Input should be a date and time with a zone (RFC 3339)", "datetime_parsing"),
    }

    def __init__(self, *, metadata: Metadata = MappingProxyType({}), **kwargs: Any) -> None:
        super().__init__(metadata={"pattern": documented(self.RFC3339), **metadata}, **kwargs)

    def _serialize(self, value: datetime | None, attr: str | None, obj: Any, **kwargs: Any) -> str | None:
        return None if value is None else instant_text(value)

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> datetime:
        text = value.upper() if isinstance(value, str) else ""
        if not self.RFC3339.fullmatch(text):
            raise self.make_error("invalid")
        try:
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError) as error:
            raise self.make_error("invalid") from error


UNKNOWN_PARAMETER = Problem("This operation has no such query parameter", "extra_forbidden")


UNKNOWN_KEY = Problem("This object has no such key", "extra_forbidden")


class Repeated(fields.Field[Any]):
    """The field of a query whose parameter may be given several times: it loads from the list of the values."""


class Body(Schema):
    """A request body, or an object in one. An unknown key is an error: it may be a misspelt setting."""

    error_messages = {  # noqa: RUF012  # marshmallow's own name and shape
        "type": Problem("Input should be a valid dictionary", "dict_type"),
        "unknown": UNKNOWN_KEY,
    }
    optional = False  #: the request may have no body at all

    class Meta:
        unknown = "raise"


class OneOf(fields.Field[dict[str, Any]]):
    """An object of an answer that fits one of several schemas: the first whose required keys it has."""

    def __init__(self, *schemas: type[Schema], **kwargs: Any) -> None:
        self.schemas = tuple(schema() for schema in schemas)
        super().__init__(**kwargs)

    def _serialize(self, value: Any, attr: str | None, obj: Any, **kwargs: Any) -> Any:
        return next(schema for schema in self.schemas if _required(schema) <= value.keys()).dump(value)


def _required(schema: Schema) -> set[str]:
    return {name for name, field in schema.fields.items() if field.required}


class Query(Schema):
    """The query of a request. An unknown parameter is an error: it may be a misspelt filter."""

    record: type  #: the frozen dataclass that a valid query becomes
    error_messages = {"unknown": UNKNOWN_PARAMETER}  # noqa: RUF012  # marshmallow's own name and shape

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> Any:
        return self.record(**data)

    class Meta:
        unknown = "raise"
