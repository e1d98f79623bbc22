"""Pages of a charger's log by offset, as the contract has them: its frames, its remarks, or its connection events."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, case, func, or_, select
from sqlalchemy.orm import Session

from shared.fleet.scope import get_charger
from shared.models import ChargerLog, ChargerLogLine
from shared.vocabulary import LogKind

Table = type[ChargerLog] | type[ChargerLogLine]

#: What an entry of each kind has beside `message` and `timestamp`.
FIELDS: Mapping[LogKind, tuple[str, ...]] = MappingProxyType(
    {
        LogKind.FRAME: ("direction", "action"),
        LogKind.REMARK: ("level",),
        LogKind.CONNECTION: ("state", "reason"),
    }
)


class LogPage(NamedTuple):
    """A page of matching entries."""

    rows: list[dict[str, Any]]
    total: int  #: matches over all pages
    next_offset: int | None  #: of the next page; None on the last one


def list_logs(
    session: Session,
    *,
    organization_id: str,
    charger_id: str,
    kind: LogKind,
    start_date: datetime | None,
    end_date: datetime | None,
    event: str | None,
    limit: int,
    offset: int,
    max_bytes: int,
) -> LogPage:
    """Entries of this kind between the two instants (inclusive), newest first; frames of one OCPP action if `event` is given.

    A page has at most `limit` entries and max_bytes of messages, but at least one entry. A message longer than max_bytes
    is cut, and its entry has `truncated`. Raises ChargerNotFound.
    """
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    table: Table = ChargerLog if kind is LogKind.FRAME else ChargerLogLine
    matches = [table.charger_id == charger_id]
    if table is ChargerLogLine:
        matches.append(ChargerLogLine.kind == kind)
    if start_date is not None:
        matches.append(table.timestamp >= start_date)
    if end_date is not None:
        matches.append(table.timestamp <= end_date)
    if event is not None:
        matches.append(ChargerLog.action == event)
    total = session.scalar(select(func.count()).select_from(table).where(*matches)) or 0
    newest = _newest(table, matches, limit=limit, offset=offset)
    rows = session.execute(_within(max_bytes, newest, FIELDS[kind])).all()
    end = offset + len(rows)
    return LogPage([_entry(row) for row in rows], total, end if rows and end < total else None)


def _newest(table: Table, matches: Sequence[ColumnElement[bool]], *, limit: int, offset: int) -> Subquery:
    """The entries of a page with the size of each message, which PostgreSQL knows without reading the message."""
    return (
        select(table, func.coalesce(func.octet_length(table.message), 0).label("size"))
        .where(*matches)
        .order_by(*_newest_first(table))
        .limit(limit)
        .offset(offset)
        .subquery("newest")
    )


def _within(max_bytes: int, newest: Subquery, fields: Sequence[str]) -> Select[Any]:
    """The first entries whose messages together have at most max_bytes."""
    row = newest.c
    order = _newest_first(row)
    so_far = func.sum(row.size).over(order_by=order)
    counted = select(newest, so_far.label("so_far")).subquery("counted")
    found = counted.c
    too_long = found.size > max_bytes
    return (
        select(
            *(found[name] for name in fields),
            found.timestamp,
            # A character has up to four bytes.
            case((too_long, func.left(found.message, max_bytes // 4)), else_=found.message).label("message"),
            too_long.label("truncated"),
        )
        .where(or_(found.so_far <= max_bytes, found.so_far == found.size))
        .order_by(*_newest_first(found))
    )


def _newest_first(entries: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return entries.timestamp.desc(), entries.event_id.desc()


def _entry(row: Any) -> dict[str, Any]:
    entry: dict[str, Any] = row._asdict()
    if not entry["truncated"]:
        del entry["truncated"]
    return entry
