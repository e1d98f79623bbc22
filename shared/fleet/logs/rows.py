"""The rows of a charger's log in the order of time, from both of its tables, and the entries that clients get."""

import json
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Text,
    cast,
    literal,
    null,
    select,
    tuple_,
    union_all,
)

from shared.fleet.logs.filters import LogFilters
from shared.models import ChargerLog, ChargerLogLine
from shared.vocabulary import LogKind

Entry = dict[str, Any]
Table = type[ChargerLog] | type[ChargerLogLine]

#: What an entry of each kind has beside its id, kind, message and timestamp.
FIELDS = {
    LogKind.FRAME: ("direction", "action"),
    LogKind.REMARK: ("level",),
    LogKind.CONNECTION: ("state", "reason"),
}
#: The tables, by their number in a position.
FRAMES, LINES = 0, 1

_HEAD = re.compile(r'\s*\[\s*([2-6])\s*,\s*("(?:[^"\\]|\\.)*")')


class Position(NamedTuple):
    """A place between two entries of a log: at an entry."""

    timestamp: datetime
    event_id: str
    table: int


class Bound(NamedTuple):
    """Where a read begins."""

    position: Position
    inclusive: bool  #: with the entry at the position


def rows_in_order(
    charger_id: str, filters: LogFilters, *, descending: bool, bound: Bound | None, max_rows: int
) -> FromClause:
    """The first rows of the wanted kinds and time, behind the bound, at most `max_rows`.

    They are read by the index on each table, a day's partition after the other, and only as many as the caller takes.
    """
    branches = [
        _branch(select(*_columns(table)), table, filters, descending=descending, bound=bound)
        .where(table.charger_id == charger_id)
        .limit(max_rows)
        for table, is_wanted in ((ChargerLog, filters.frames), (ChargerLogLine, filters.lines))
        if is_wanted
    ]
    if not branches:  # a filter of frames without frames: refused by the API
        branches = [select(*_columns(ChargerLog)).where(literal(False))]
    if len(branches) == 1:
        return branches[0].subquery("read")
    both = union_all(*(select(branch.subquery()) for branch in branches)).subquery("both")
    return select(both).order_by(*in_order(both.c, descending=descending)).limit(max_rows).subquery("read")


def in_order(row: Any, *, descending: bool) -> list[ColumnElement[Any]]:
    """By time. An event id is in one of the tables only; a third key would make PostgreSQL read all rows to sort them."""
    keys = (row.timestamp, row.event_id)
    return [key.desc() if descending else key.asc() for key in keys]


def _branch(
    query: Select[Any], table: Table, filters: LogFilters, *, descending: bool, bound: Bound | None
) -> Select[Any]:
    wanted: list[ColumnElement[bool]] = []
    if table is ChargerLogLine:
        wanted.append(ChargerLogLine.kind.in_(filters.lines))
    if filters.start is not None:
        wanted.append(table.timestamp >= filters.start)
    if filters.end is not None:
        wanted.append(table.timestamp <= filters.end)
    if bound is not None:
        wanted += _behind(table, bound, descending=descending)
    keys = (table.timestamp, table.event_id)
    return query.where(*wanted).order_by(*(key.desc() if descending else key.asc() for key in keys))


def _behind(table: Table, bound: Bound, *, descending: bool) -> list[ColumnElement[bool]]:
    """The condition on time alone is implied, and lets PostgreSQL leave out the partitions of other days."""
    at = bound.position
    keys = tuple_(table.timestamp, table.event_id)
    place = tuple_(literal(at.timestamp, table.timestamp.type), literal(at.event_id, Text))
    if descending:
        return [table.timestamp <= at.timestamp, keys <= place if bound.inclusive else keys < place]
    return [table.timestamp >= at.timestamp, keys >= place if bound.inclusive else keys > place]


def _columns(table: Table) -> list[ColumnElement[Any]]:
    """The same of both tables."""
    is_frame = table is ChargerLog
    missing = cast(null(), Text)
    columns: dict[str, Any] = {
        "table": literal(FRAMES if is_frame else LINES),
        "kind": literal(str(LogKind.FRAME), Text) if is_frame else ChargerLogLine.kind,
        **{
            name: getattr(table, name, missing)
            for name in (
                "timestamp",
                "event_id",
                "direction",
                "action",
                "level",
                "state",
                "reason",
                "message",
            )
        },
    }
    return [column.label(name) for name, column in columns.items()]


def entries_of(rows: Iterable[Any]) -> list[Entry]:
    """What clients get of the rows."""
    return [_entry(row) for row in rows]


def _entry(row: Any) -> Entry:
    kind = LogKind(row.kind)
    entry: Entry = {"id": row.event_id, "kind": kind, **{name: getattr(row, name) for name in FIELDS[kind]}}
    entry |= {"message": row.message, "timestamp": row.timestamp}
    if kind is LogKind.FRAME:
        entry["message_type"], entry["message_id"] = type_and_id(row.message)
    if getattr(row, "truncated", False):
        entry["truncated"] = True
    return entry


def type_and_id(message: str | None) -> tuple[int | None, str | None]:
    """OCPP-J's message type (2 call, 3 result, 4 error) and message id; None of what is not OCPP-J."""
    found = _HEAD.match(message or "")
    if found is None:
        return None, None
    try:
        return int(found[1]), json.loads(found[2], strict=False)
    except ValueError:
        return int(found[1]), None


def position_of(row: Any) -> Position:
    return Position(row.timestamp, row.event_id, row.table)
