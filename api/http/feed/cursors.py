"""Writes and reads the feed's cursors: opaque texts that say where a client goes on."""

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.orm import Session

from shared.fleet.feed import MAX_AGE_S, MAX_BEHIND, Mark, Place, is_far_behind

MAX_LENGTH = 2048
MAX_EARLY = 50  # events in a cursor; what follows these is sent again
# As for lists, the signature detects what is not a cursor. A forged one only starts the client's own feed elsewhere.
_SERIALIZER = URLSafeSerializer("chargehand feed", salt="cursor")


class InvalidCursor(Exception):
    """The text is not a cursor of a feed."""


class Cursor(NamedTuple):
    """A place of some organization, the database that it is of, and when that was read."""

    database: str
    xid: int
    event_id: int
    at: datetime
    early: frozenset[int]


def write_cursor(mark: Mark, place: Place) -> str:
    """As text that is safe in a URL."""
    early = sorted(place.early)[:MAX_EARLY]
    return str(_SERIALIZER.dumps([mark.database, place.xid, place.event_id, int(mark.at.timestamp()), early]))


def read_cursor(text: str) -> Cursor:
    """Raises InvalidCursor."""
    try:
        content = _SERIALIZER.loads(text)
        if _SERIALIZER.dumps(content) != text:  # some bits of the signature's last letter are unused
            raise InvalidCursor
        database, xid, event_id, at, early = content
        if not isinstance(database, str) or not all(_is_id(one) for one in (xid, event_id, at, *early)):
            raise InvalidCursor
        return Cursor(database, xid, event_id, datetime.fromtimestamp(at, UTC), frozenset(early))
    except (BadData, TypeError, ValueError, OverflowError, RecursionError, OSError) as error:
        raise InvalidCursor from error


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def place_after(
    session: Session, mark: Mark, cursor: Cursor | None, organization_id: str
) -> tuple[Place, bool, str | None]:
    """Where the client goes on, whether that is at its cursor, and why not: a sentence, or None without a cursor."""
    now = Place(organization_id, mark.xmin, 0)
    if cursor is None:
        return now, False, None
    if cursor.database != mark.database or cursor.xid > mark.xmax:
        return now, False, "The cursor is of another database, or of a time before this one was restored"
    if mark.at - cursor.at > timedelta(seconds=MAX_AGE_S):
        return now, False, f"The cursor is older than {MAX_AGE_S // 3600} hours"
    place = Place(organization_id, cursor.xid, cursor.event_id, cursor.early)
    if is_far_behind(session, place):
        return now, False, f"More than {MAX_BEHIND:,} changes followed the cursor"
    return place, True, None
