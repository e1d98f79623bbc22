"""Writes and reads the cursors of a charger's log: opaque texts that say where a page begins, and in which direction."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from itsdangerous import BadData, URLSafeSerializer

from shared.fleet.logs import Cursor, LogFilters, Position

MAX_LENGTH = 512
KEY = "chargehand logs"  # not secret, as that of api/http/cursors.py: a forged one reads another place of the same log


class InvalidCursor(Exception):
    """The text is not a cursor of this log with these filters."""


def scope_of(charger_id: str, filters: LogFilters, *, descending: bool) -> Mapping[str, Any]:
    """What a cursor is valid for."""
    return {"charger_id": charger_id, "descending": descending, **asdict(filters)}


def write_cursor(cursor: Cursor | None, scope: Mapping[str, Any]) -> str | None:
    """The cursor as text that is safe in a URL; None stays None."""
    if cursor is None:
        return None
    at, event_id, table = cursor.position
    written = [at.isoformat(), event_id, table, int(cursor.inclusive), int(cursor.backward)]
    return str(_serializer(scope).dumps(written))


def read_cursor(text: str, scope: Mapping[str, Any]) -> Cursor:
    """The cursor that was written as the text. Raises InvalidCursor, also for one of another scope."""
    serializer = _serializer(scope)
    try:
        content = serializer.loads(text)
        if serializer.dumps(content) != text:  # some bits of the signature's last letter are unused
            raise InvalidCursor
        at, event_id, table, inclusive, backward = content
        moment = datetime.fromisoformat(at)
        if (
            not isinstance(event_id, str)
            or "\x00" in event_id
            or moment.tzinfo is None
            or table not in (0, 1)
        ):
            raise InvalidCursor
        return Cursor(Position(moment.astimezone(UTC), event_id, table), bool(inclusive), bool(backward))
    except (BadData, TypeError, ValueError, OverflowError, RecursionError) as error:
        raise InvalidCursor from error


def _serializer(scope: Mapping[str, Any]) -> URLSafeSerializer:
    return URLSafeSerializer(
        KEY, salt=hashlib.sha256(orjson.dumps(scope, option=orjson.OPT_SORT_KEYS)).digest()
    )
