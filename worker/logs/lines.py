"""Write remarks and connection events into charger_log_lines: per charger, kind and day (UTC) the newest MAX_LINES or more.

Much of their text is the CSMS's. A charger whose CSMS causes a flood of them loses its own older ones of that day, no frame
and no other charger's line. What is too much is deleted with one of DELETE_AT new lines: then a fleet that has lost its CSMS
costs the reader only some reads of stored lines per new one.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, time
from typing import Any
from zlib import crc32

from sqlalchemy import Date, cast, delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import ChargerLogLine
from shared.vocabulary import LogKind, RemarkLevel
from worker.logs.links import bounded, is_connection_event
from worker.logs.partitions import ensure_partitions

MAX_LINES = 500  # a charger that cannot connect writes about 2,000 lines a day
DELETE_AT = 64  # so about as many lines more than MAX_LINES are stored at times

Row = dict[str, Any]


def write_lines(session: Session, lines: Iterable[dict[str, Any]]) -> None:
    """Store the remarks and connection events among the lines of known chargers. Safe to repeat."""
    rows = _newest(row for line in lines if (row := _row(line)) is not None)
    if not rows:
        return
    days = {row["timestamp"].date() for row in rows}
    ensure_partitions(session, ChargerLogLine, days)
    key = (ChargerLogLine.charger_id, ChargerLogLine.event_id)
    new = session.execute(insert(ChargerLogLine).on_conflict_do_nothing().returning(*key), rows)
    grown = {charger_id for charger_id, event_id in new if crc32(event_id.encode()) % DELETE_AT == 0}
    if grown:
        _delete_surplus(session, grown, datetime.combine(min(days), time(), UTC))


def _row(line: dict[str, Any]) -> Row | None:
    """The line as a row; None for a frame, and for a line that no charger writes."""
    key = {"charger_id": line["charger_id"], "timestamp": line["at"], "event_id": line["event_id"]}
    if line["type"] == "log" and line.get("level") in list(RemarkLevel):
        content = {"kind": LogKind.REMARK, "level": line["level"], "message": bounded(line.get("message"))}
    elif is_connection_event(line):
        content = {
            "kind": LogKind.CONNECTION,
            "state": line["state"],
            "reason": bounded(line.get("reason")),
            "message": bounded(line.get("detail")),
        }
    else:
        return None
    return {"level": None, "state": None, "reason": None, **key, **content}


def _newest(rows: Iterable[Row]) -> list[Row]:
    """The newest MAX_LINES of each charger, kind and day, in the order in which concurrent readers insert."""
    found: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in rows:
        found[row["charger_id"], row["kind"], row["timestamp"].date()].append(row)
    newest = [row for some in found.values() for row in sorted(some, key=_at)[-MAX_LINES:]]
    return sorted(newest, key=lambda row: (row["charger_id"], *_at(row)))


def _at(row: Row) -> tuple[datetime, str]:
    return row["timestamp"], row["event_id"]


def _delete_surplus(session: Session, charger_ids: set[str], since: datetime) -> None:
    """Delete what is older than the newest MAX_LINES of a charger, kind and day, of the days from `since` on.

    Rows that another reader is deleting are left to it.
    """
    table = ChargerLogLine
    key = tuple_(table.charger_id, table.timestamp, table.event_id)
    of_chargers = (table.charger_id.in_(charger_ids), table.timestamp >= since)
    age = func.row_number().over(
        partition_by=(table.charger_id, table.kind, cast(func.timezone("UTC", table.timestamp), Date)),
        order_by=(table.timestamp.desc(), table.event_id.desc()),
    )
    ranked = select(table.charger_id, table.timestamp, table.event_id, age.label("age")).where(*of_chargers)
    some = ranked.subquery("ranked")
    surplus = select(some.c.charger_id, some.c.timestamp, some.c.event_id).where(some.c.age > MAX_LINES)
    free = session.execute(
        select(table.charger_id, table.timestamp, table.event_id)
        .where(key.in_(surplus), *of_chargers)
        .with_for_update(skip_locked=True)
    ).all()
    if free:
        session.execute(delete(table).where(key.in_(free), *of_chargers))
