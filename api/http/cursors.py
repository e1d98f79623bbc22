"""Cursors: where a list goes on, for clients to hand back and not to read."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from itsdangerous import BadData, URLSafeSerializer

from shared.fleet.listing import Position, Sort, SortKey

MAX_LENGTH = 512
# It finds what was changed or belongs to another list. It keeps nobody out, and need not: whoever makes up a cursor
# reads their own organization's chargers from another place.
KEY = "chargehand lists"


class InvalidCursor(Exception):
    """No cursor of this list."""


def write_cursor(position: Position, sort: Sort, scope: Mapping[str, Any]) -> str:
    """The position as text that is safe in a URL. It is good for the same sort and scope (filters, organization)."""
    *since, last = position
    written = [moment.isoformat() for moment in since if isinstance(moment, datetime)]
    return str(serializer_of(sort, scope).dumps([*written, last]))


def read_cursor(cursor: str, sort: Sort, scope: Mapping[str, Any]) -> Position:
    """The position that the cursor was written for. Raises InvalidCursor, also for one of another list."""
    serializer = serializer_of(sort, scope)
    try:
        content = serializer.loads(cursor)
        if serializer.dumps(content) != cursor:  # some bits of the signature's last letter say nothing
            raise InvalidCursor
        if sort.key == SortKey.STATE_SINCE:
            since, last = content
            return _moment(since), _text(last)
        (last,) = content
        return (_text(last),)
    except (BadData, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidCursor from error


def serializer_of(sort: Sort, scope: Mapping[str, Any]) -> URLSafeSerializer:
    """What writes and reads the cursors of one list."""
    list_ = orjson.dumps([sort.key, sort.descending, scope], option=orjson.OPT_SORT_KEYS)
    return URLSafeSerializer(KEY, salt=hashlib.sha256(list_).digest())


def _moment(content: str) -> datetime:
    moment = datetime.fromisoformat(content)
    if moment.tzinfo is None:
        raise ValueError("a time without a zone")
    return moment.astimezone(UTC)


def _text(content: Any) -> str:
    if not isinstance(content, str) or "\x00" in content:
        raise ValueError("not a text that a row can have")
    return content
