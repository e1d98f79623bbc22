"""The query of a charger's log."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from api.http.fields.fields import Choice, Choices, Instant, Problem, Query, QueryInteger, Text, documented
from api.http.logs.cursors import MAX_LENGTH
from shared.fleet.logs import Caller, Direction, LogFilters
from shared.vocabulary import LogKind

MAX_LIMIT = 1000
#: What makes pages by cursor of a request; so does more than one kind.
BY_CURSOR = ("cursor", "order", "direction", "caller", "hide", "q", "errors")
OF_FRAMES = ("event", "direction", "caller")

_BEYOND = "Pages by cursor. Beyond the contract."


class Order(StrEnum):
    """By time."""

    NEWEST_FIRST = "desc"
    OLDEST_FIRST = "asc"


@dataclass(frozen=True, slots=True)
class LogsQuery:
    """Which entries of a charger's log, and which page of them."""

    filters: LogFilters
    order: Order | None  #: None unless given
    limit: int | None  #: None unless given
    offset: int | None  #: None unless given
    cursor: str | None  #: empty for the first page
    by_cursor: bool  #: not the contract's numbered pages


class Actions(Text):
    """OCPP actions, separated by commas; loads as a tuple."""

    PATTERN = re.compile(r"[^\x00-\x1f\x7f-\x9f,]+(,[^\x00-\x1f\x7f-\x9f,]+)*")

    def __init__(self, *, metadata: dict[str, Any], **kwargs: Any) -> None:
        bounds = {"pattern": documented(self.PATTERN)}
        super().__init__(min_length=1, max_length=1000, metadata={**bounds, **metadata}, **kwargs)

    def _checked(self, value: str) -> tuple[str, ...]:
        if not self.PATTERN.fullmatch(value):
            raise ValidationError(
                Problem("Input should be actions, separated by commas", "string_pattern_mismatch")
            )
        return tuple(dict.fromkeys(value.split(",")))


class LogsQuerySchema(Query):
    kind = Choices(
        LogKind,
        load_default=(LogKind.FRAME,),
        metadata={
            "description": "`frame`: OCPP messages. `remark`: what the charger could not do or accept, and "
            "why. `connection`: the changes of its link to its CSMS. Several by comma, in pages by cursor. "
            "Beyond the contract.",
            "default": str(LogKind.FRAME),
        },
    )
    start_date = Instant(load_default=None, metadata={"description": "Inclusive."})
    end_date = Instant(load_default=None, metadata={"description": "Inclusive."})
    event = Text(
        min_length=1,
        max_length=64,
        load_default=None,
        metadata={"description": "An OCPP action, such as BootNotification; case-sensitive. Of frames only."},
    )
    direction = Choice(
        Direction,
        metadata={"description": f"Who sent the frame. Of frames only. {_BEYOND}"},
    )
    caller = Choice(
        Caller,
        metadata={
            "description": f"Who began the exchange: the calls of this side and their answers. Of frames only. {_BEYOND}"
        },
    )
    hide = Actions(
        load_default=(),
        metadata={
            "description": f"OCPP actions to leave out, by comma. {_BEYOND}",
            "example": "Heartbeat,MeterValues",
        },
    )
    q = Text(
        min_length=1,
        max_length=255,
        load_default=None,
        metadata={"description": f"A part of the message, in any case of letters. {_BEYOND}"},
    )
    errors = Choice(
        ("true", "false"),
        load_default="false",
        metadata={
            "description": "`true`: CALLERRORs, remarks of the level error, and connections that were rejected or lost. "
            + _BEYOND
        },
    )
    order = Choice(
        Order,
        load_default=None,
        metadata={
            "description": f"By time; newest first unless given. {_BEYOND}",
            "default": str(Order.NEWEST_FIRST),
        },
    )
    limit = QueryInteger(minimum=1, maximum=MAX_LIMIT, metadata={"default": MAX_LIMIT})
    offset = QueryInteger(minimum=0, metadata={"default": 0})
    cursor = Text(
        max_length=MAX_LENGTH,
        load_default=None,
        metadata={
            "description": "`next_cursor` or `previous_cursor` of a page with the same filters; empty for the first page. "
            "Pages by cursor have no `total` and cost the same at any place. Beyond the contract."
        },
    )

    @validates_schema(pass_original=True)
    def _check_combination(self, data: dict[str, Any], given: dict[str, Any], **_: Any) -> None:
        if LogKind.FRAME not in data["kind"]:
            for name in OF_FRAMES:
                if data.get(name) is not None:
                    problem = Problem(
                        f"Only frames have that: '{name}' needs the kind 'frame'", "value_error"
                    )
                    raise ValidationError(problem, name)
        if "offset" in data and _is_by_cursor(data, given):
            problem = Problem("These pages have no offset: continue with 'cursor'", "value_error")
            raise ValidationError(problem, "offset")

    @post_load(pass_original=True)
    def _make_record(self, data: dict[str, Any], given: dict[str, Any], **_: Any) -> LogsQuery:
        filters = LogFilters(
            kinds=tuple(LogKind(kind) for kind in data["kind"]),
            start=data["start_date"],
            end=data["end_date"],
            event=data["event"],
            hide=data["hide"],
            direction=Direction(data["direction"]) if "direction" in data else None,
            caller=Caller(data["caller"]) if "caller" in data else None,
            q=data["q"],
            errors=data["errors"] == "true",
        )
        return LogsQuery(
            filters=filters,
            order=data["order"] and Order(data["order"]),
            limit=data.get("limit"),
            offset=data.get("offset"),
            cursor=data["cursor"],
            by_cursor=_is_by_cursor(data, given),
        )


def _is_by_cursor(data: dict[str, Any], given: dict[str, Any]) -> bool:
    return len(data["kind"]) > 1 or any(name in given for name in BY_CURSOR)
