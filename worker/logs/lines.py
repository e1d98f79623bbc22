"""Write remarks and connection events into charger_log_lines: per charger, kind and day (UTC) the newest MAX_LINES or more.

Much of their text is the CSMS's. A charger whose CSMS causes a flood of them loses its own older ones of that day, no frame
and no other charger's line. What is too much is deleted with one of DELETE_AT new lines: then a fleet that has lost its CSMS
costs the reader only some reads of stored lines per new one.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime
from typing import Any
from zlib import crc32

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import ChargerLogLine
from shared.vocabulary import LogKind, RemarkLevel
from worker.logs.links import bounded, is_connection_event

MAX_LINES = 500  # a charger that cannot connect writes about 2,000 lines a day
DELETE_AT = 64  # so about as many lines more than MAX_LINES are stored at times

Row = dict[str, Any]
Account = tuple[str, str, date]  #: a charger, a kind and a day, of which MAX_LINES are kept


def write_lines(session: Session, lines: Iterable[dict[str, Any]]) -> None:
    """Store the remarks and connection events among the lines of known chargers, whose days have partitions. Safe to repeat."""
    rows = _newest(row for line in lines if (row := _row(line)) is not None)
    if not rows:
        return
    columns = (
        ChargerLogLine.charger_id,
        ChargerLogLine.kind,
        ChargerLogLine.timestamp,
        ChargerLogLine.event_id,
    )
    new = session.execute(insert(ChargerLogLine).on_conflict_do_nothing().returning(*columns), rows)
    grown = {_account(row) for row in new.mappings() if crc32(row["event_id"].encode()) % DELETE_AT == 0}
    if grown:
        charger_ids, kinds, days_of = zip(*sorted(grown), strict=True)
        accounts = {"charger_ids": list(charger_ids), "kinds": list(kinds), "days": list(days_of)}
        session.execute(_DELETE_SURPLUS, accounts | {"kept": MAX_LINES})


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
    found: dict[Account, list[Row]] = defaultdict(list)
    for row in rows:
        found[_account(row)].append(row)
    newest = [row for some in found.values() for row in sorted(some, key=_at)[-MAX_LINES:]]
    return sorted(newest, key=lambda row: (row["charger_id"], *_at(row)))


def _at(row: Row) -> tuple[datetime, str]:
    return row["timestamp"], row["event_id"]


def _account(row: Any) -> Account:
    return row["charger_id"], str(row["kind"]), row["timestamp"].astimezone(UTC).date()


# Each charger's lines of a day are read from the newest on, in the order of the key. Lines that another reader deletes are
# left to it.
_DELETE_SURPLUS = text("""
WITH surplus AS MATERIALIZED (
    SELECT old.* FROM unnest(
        CAST(:charger_ids AS text[]), CAST(:kinds AS text[]), CAST(:days AS date[])
    ) AS grown (charger_id, kind, day)
    CROSS JOIN LATERAL (
        SELECT charger_id, timestamp, event_id FROM charger_log_lines
        WHERE charger_id = grown.charger_id AND kind = grown.kind
        AND timestamp >= grown.day::timestamp AT TIME ZONE 'UTC'
        AND timestamp < (grown.day + 1)::timestamp AT TIME ZONE 'UTC'
        ORDER BY timestamp DESC, event_id DESC OFFSET :kept
    ) AS old
), locked AS MATERIALIZED (
    SELECT charger_id, timestamp, event_id FROM charger_log_lines AS line JOIN surplus USING (charger_id, timestamp, event_id)
    FOR UPDATE OF line SKIP LOCKED
)
DELETE FROM charger_log_lines AS line USING locked
WHERE (line.charger_id, line.timestamp, line.event_id) = (locked.charger_id, locked.timestamp, locked.event_id)
""")
