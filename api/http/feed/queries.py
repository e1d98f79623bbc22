"""The queries of the feed's routes."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from marshmallow import ValidationError, post_load, validates_schema

from api.http.feed.cursors import MAX_LENGTH, Cursor, InvalidCursor, read_cursor
from api.http.fields.fields import Choice, Metadata, Problem, Query, QueryInteger, Text
from api.http.fields.label_fields import LabelFilter
from shared.fleet.labels import Label

MAX_WATCHED = 10  # chargers whose own events a stream has

BAD_CURSOR = Problem("Input should be a cursor that this API has sent", "value_error")
NO_CHARGER = Problem("'frames' needs 'charger_id': whose frames", "value_error")


class FeedCursor(Text):
    """A place in an organization's feed; loads as a Cursor, and as None when it is empty."""

    def __init__(self, *, metadata: Metadata = MappingProxyType({})) -> None:
        super().__init__(max_length=MAX_LENGTH, load_default=None, metadata=metadata)

    def _checked(self, value: str) -> Cursor | None:
        if not value:
            return None
        try:
            return read_cursor(value)
        except InvalidCursor as error:
            raise ValidationError(BAD_CURSOR) from error


class ChargerIds(Text):
    """One or more ids, separated by commas; loads as a tuple without duplicates."""

    ID = "[A-Za-z0-9_-]{1,64}"
    PATTERN = re.compile(f"{ID}(,{ID}){{0,{MAX_WATCHED - 1}}}")

    def __init__(self, *, metadata: Metadata = MappingProxyType({})) -> None:
        bounds = {"pattern": f"^{self.PATTERN.pattern}$"}
        super().__init__(min_length=1, max_length=1000, load_default=(), metadata={**bounds, **metadata})

    def _checked(self, value: str) -> tuple[str, ...]:
        if not self.PATTERN.fullmatch(value):
            message = f"Input should be 1 to {MAX_WATCHED} ids of chargers, separated by commas"
            raise ValidationError(Problem(message, "string_pattern_mismatch"))
        return tuple(dict.fromkeys(value.split(",")))


AFTER = FeedCursor(
    metadata={
        "description": "The cursor that was read last: what followed is sent. Without it, or when it is empty, that is "
        "what follows from now on. Beyond the contract."
    }
)


LABELS = LabelFilter(
    load_default=None,
    metadata={
        "description": "Only chargers that have all these labels, such as `run:1234,smoke`. One that has them no more counts "
        "as removed, and so does every charger that is deleted. Beyond the contract."
    },
)


@dataclass(frozen=True, slots=True)
class EventsQuery:
    after: Cursor | None
    charger_ids: tuple[str, ...]  #: whose own events the stream has too
    frames: bool  #: with what is logged of these chargers
    labels: tuple[Label, ...] | None  #: only rows of chargers with all of them


class EventsQuerySchema(Query):
    after = AFTER
    charger_id = ChargerIds(
        metadata={
            "description": f"Chargers whose own events are sent too, at most {MAX_WATCHED}; several by comma. "
            "Beyond the contract."
        }
    )
    frames = Choice(
        ("true", "false"),
        load_default="false",
        metadata={
            "description": "`true`: with what is logged of the chargers in `charger_id`. Beyond the contract.",
            "default": "false",
        },
    )

    labels = LABELS

    @validates_schema
    def _check_frames(self, data: dict[str, Any], **_: Any) -> None:
        if data["frames"] == "true" and not data["charger_id"]:
            raise ValidationError(NO_CHARGER, "frames")

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> EventsQuery:
        return EventsQuery(data["after"], data["charger_id"], data["frames"] == "true", data["labels"])


@dataclass(frozen=True, slots=True)
class ChangesQuery:
    after: Cursor | None
    wait_s: int  #: at most, until something changes; 0 does not wait
    labels: tuple[Label, ...] | None  #: only chargers with all of them


class ChangesQuerySchema(Query):
    after = AFTER
    wait = QueryInteger(
        attribute="wait_s",
        minimum=0,
        maximum=60,
        load_default=0,
        metadata={
            "description": "Seconds to hold the answer until something changes, at most. When too many requests wait "
            "already, the answer comes at once, with the header `Wait-Skipped: true`. Beyond the contract."
        },
    )

    labels = LABELS

    @post_load
    def _make_record(self, data: dict[str, Any], **_: Any) -> ChangesQuery:
        return ChangesQuery(data["after"], data["wait_s"], data["labels"])
