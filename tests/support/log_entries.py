"""Writes the lines of a charger's log as the log reader stores them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text

from shared.database.engine import Sessions
from shared.models import ChargerLog, ChargerLogLine

TABLES = ("charger_logs", "charger_log_lines")
NOON = datetime(2026, 4, 9, 12, tzinfo=UTC)
HEARTBEAT = '[2,"1","Heartbeat",{}]'

Row = dict[str, Any]


def frame(
    second: float,
    id_: str,
    message: str | None = HEARTBEAT,
    *,
    action: str = "Heartbeat",
    to_csms: bool = True,
) -> Row:
    direction = "cp_to_csms" if to_csms else "csms_to_cp"
    return _at(second, id_) | {"direction": direction, "action": action, "message": message}


def remark(second: float, id_: str, level: str, message: str) -> Row:
    return _at(second, id_) | {"kind": "remark", "level": level, "message": message}


def connection(second: float, id_: str, state: str, reason: str | None = None) -> Row:
    return _at(second, id_) | {"kind": "connection", "state": state, "reason": reason}


def _at(second: float, id_: str) -> Row:
    return {"timestamp": NOON + timedelta(seconds=second), "event_id": id_}


@contextmanager
def log_days(sessions: Sessions) -> Iterator[None]:
    """Partitions for the day of NOON, the day before and the day after; dropped at the end."""
    days = [NOON.replace(hour=0) + timedelta(days=number) for number in (-1, 0, 1)]
    names = [(table, day, f"{table}_of_{day:%Y%m%d}") for table in TABLES for day in days]
    with sessions.begin() as session:
        for table, day, name in names:
            bounds = f"FROM ('{day.isoformat()}') TO ('{(day + timedelta(days=1)).isoformat()}')"
            session.execute(text(f"CREATE TABLE {name} PARTITION OF {table} FOR VALUES {bounds}"))
    yield
    with sessions.begin() as session:
        for *_, name in names:
            session.execute(text(f"DROP TABLE {name}"))


def write_entries(sessions: Sessions, charger_id: str, rows: Iterable[Row]) -> None:
    """Store them, without the reader's cursor."""
    with sessions.begin() as session:
        for row in rows:
            table: Any = ChargerLog if "direction" in row else ChargerLogLine
            session.add(table(charger_id=charger_id, **row))
