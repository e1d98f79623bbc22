"""Writes and reads cursors: opaque texts that say where the next page of a list begins."""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from itsdangerous import BadData, URLSafeSerializer

from shared.fleet.listing import Position, Sort, SortKey

MAX_LENGTH = 512
# The signature detects a cursor that was changed or belongs to another list. It need not be secret: a forged cursor
# only starts the list of the client's own organization at another position.
KEY = "chargehand lists"


class InvalidCursor(Exception):
    """The text is not a cursor of this list."""


def write_cursor(position: Position, sort: Sort, scope: Mapping[str, Any]) -> str:
    """The position as text that is safe in a URL. Valid for the same sort and scope (filters, organization)."""
    written = [value.isoformat() if isinstance(value, datetime) else value for value in position]
    return str(serializer_of(sort, scope).dumps(written))


def read_cursor(cursor: str, sort: Sort, scope: Mapping[str, Any]) -> Position:
    """The position that the cursor was written for. Raises InvalidCursor, also for one of another list."""
    serializer = serializer_of(sort, scope)
    try:
        content = serializer.loads(cursor)
        if serializer.dumps(content) != cursor:  # some bits of the signature's last letter are unused
            raise InvalidCursor
        if sort.key == SortKey.STATE_SINCE:
            since, last = content
            return _moment(since), _text(last)
        if sort.key == SortKey.ATTENTION:
            rank, last = content
            return _rank(rank), _text(last)
        (last,) = content
        return (_text(last),)
    except (BadData, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidCursor from error


def serializer_of(sort: Sort, scope: Mapping[str, Any]) -> URLSafeSerializer:
    """The serializer for the cursors of one list."""
    list_ = orjson.dumps([sort.key, sort.descending, scope], option=orjson.OPT_SORT_KEYS)
    return URLSafeSerializer(KEY, salt=hashlib.sha256(list_).digest())


def _moment(content: str) -> datetime:
    moment = datetime.fromisoformat(content)
    if moment.tzinfo is None:
        raise ValueError("the time has no zone")
    return moment.astimezone(UTC)


def _rank(content: Any) -> int:
    if content not in (0, 1) or isinstance(content, bool):
        raise ValueError("no charger has this rank")
    return int(content)


def _text(content: Any) -> str:
    if not isinstance(content, str) or "\x00" in content:
        raise ValueError("no column can hold the text")
    return content
