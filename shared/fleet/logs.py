"""Pages of the OCPP frames that a charger exchanged with its CSMS."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Select, Subquery, case, func, or_, select
from sqlalchemy.orm import Session

from shared.fleet.scope import get_charger
from shared.models import ChargerLog


class LogPage(NamedTuple):
    """A page of matching frames."""

    rows: list[dict[str, Any]]
    total: int  #: matches over all pages
    next_offset: int | None  #: of the next page; None on the last one


def list_logs(
    session: Session,
    *,
    organization_id: str,
    charger_id: str,
    start_date: datetime | None,
    end_date: datetime | None,
    event: str | None,
    limit: int,
    offset: int,
    max_bytes: int,
) -> LogPage:
    """Frames between the two instants (inclusive), of one OCPP action if given, newest first.

    A page has at most `limit` frames and max_bytes of messages, but at least one frame. A message longer than max_bytes
    is cut, and its frame has `truncated`. Raises ChargerNotFound.
    """
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    matches = [ChargerLog.charger_id == charger_id]
    if start_date is not None:
        matches.append(ChargerLog.timestamp >= start_date)
    if end_date is not None:
        matches.append(ChargerLog.timestamp <= end_date)
    if event is not None:
        matches.append(ChargerLog.action == event)
    total = session.scalar(select(func.count()).select_from(ChargerLog).where(*matches)) or 0
    rows = session.execute(_within(max_bytes, _newest(matches, limit=limit, offset=offset))).all()
    end = offset + len(rows)
    return LogPage([_frame(row) for row in rows], total, end if rows and end < total else None)


def _newest(matches: Sequence[ColumnElement[bool]], *, limit: int, offset: int) -> Subquery:
    """The frames of a page with the size of each message, which PostgreSQL knows without reading the message."""
    return (
        select(ChargerLog, func.coalesce(func.octet_length(ChargerLog.message), 0).label("size"))
        .where(*matches)
        .order_by(*_newest_first(ChargerLog))
        .limit(limit)
        .offset(offset)
        .subquery("newest")
    )


def _within(max_bytes: int, newest: Subquery) -> Select[Any]:
    """The first frames whose messages together have at most max_bytes."""
    row = newest.c
    order = _newest_first(row)
    so_far = func.sum(row.size).over(order_by=order)
    counted = select(newest, so_far.label("so_far")).subquery("counted")
    found = counted.c
    too_long = found.size > max_bytes
    return (
        select(
            found.direction,
            found.action,
            found.timestamp,
            # A character has up to four bytes.
            case((too_long, func.left(found.message, max_bytes // 4)), else_=found.message).label("message"),
            too_long.label("truncated"),
        )
        .where(or_(found.so_far <= max_bytes, found.so_far == found.size))
        .order_by(*_newest_first(found))
    )


def _newest_first(frames: Any) -> tuple[ColumnElement[Any], ColumnElement[Any]]:
    return frames.timestamp.desc(), frames.event_id.desc()


def _frame(row: Any) -> dict[str, Any]:
    frame: dict[str, Any] = row._asdict()
    if not frame["truncated"]:
        del frame["truncated"]
    return frame
