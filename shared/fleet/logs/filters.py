"""Which entries of a charger's log are wanted."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, and_, func, or_

from shared.vocabulary import LogKind, OcppState, RemarkLevel


class Direction(StrEnum):
    """Who sent a frame."""

    TO_CSMS = "cp_to_csms"
    TO_CHARGER = "csms_to_cp"


class Caller(StrEnum):
    """Who began an exchange of a call and its answer."""

    CHARGER = "charger"
    CSMS = "csms"


@dataclass(frozen=True, slots=True)
class LogFilters:
    """An entry is wanted if it meets all that are given. Those of frames leave out the other kinds."""

    kinds: tuple[LogKind, ...]
    start: datetime | None = None  #: inclusive
    end: datetime | None = None  #: inclusive
    event: str | None = None  #: an OCPP action: of frames
    hide: tuple[str, ...] = ()  #: OCPP actions that are left out
    direction: Direction | None = None  #: of frames
    caller: Caller | None = None  #: of frames: those of exchanges that this side began
    q: str | None = None  #: a part of the message, in any case of letters
    errors: bool = False  #: CALLERRORs, remarks of an error, connections that were rejected or lost

    @property
    def frames(self) -> bool:
        return LogKind.FRAME in self.kinds

    @property
    def lines(self) -> tuple[LogKind, ...]:
        """The kinds beside frames."""
        of_frames = self.event or self.direction or self.caller
        return () if of_frames else tuple(kind for kind in self.kinds if kind is not LogKind.FRAME)

    @property
    def are_selective(self) -> bool:
        """Whether many entries may be read for one that is wanted."""
        return bool(self.event or self.hide or self.direction or self.caller or self.q or self.errors)


#: The beginning of a frame; more is not read from the disk for it.
_HEAD_LENGTH = 16
_ANSWER = r"^\s*\[\s*[345]\s*,"
_ERROR = r"^\s*\[\s*[45]\s*,"  # a CALLERROR, or OCPP 2.1's CALLRESULTERROR


def conditions(filters: LogFilters, entry: Any) -> Iterator[ColumnElement[bool]]:
    """What a row with these columns must meet, besides its kind and time."""
    head = func.left(entry.message, _HEAD_LENGTH)
    if filters.event is not None:
        yield entry.action == filters.event
    if filters.hide:
        yield func.coalesce(entry.action, "").not_in(filters.hide)
    if filters.direction is not None:
        yield entry.direction == filters.direction
    if filters.caller is not None:
        is_answer = func.coalesce(head.regexp_match(_ANSWER), False)
        by_charger = (entry.direction == Direction.TO_CSMS) != is_answer
        yield by_charger if filters.caller is Caller.CHARGER else ~by_charger
    if filters.errors:
        yield or_(
            and_(entry.kind == LogKind.FRAME, head.regexp_match(_ERROR)),
            entry.level == RemarkLevel.ERROR,
            entry.state.in_((OcppState.REJECTED, OcppState.DISCONNECTED)),
        )
    if filters.q is not None:
        yield entry.message.icontains(filters.q, autoescape=True)
