"""Create and drop the partitions of charger_logs and charger_log_lines: a table for each day (UTC)."""

from datetime import UTC, date, timedelta
from itertools import product

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import ChargerLog, ChargerLogLine
from worker.logs.quota import prune_volumes

PARTITIONS_LOCK = 0x4C4F4753  # key of the advisory lock; nothing else in this database uses it
TABLES = tuple(table.__tablename__ for table in (ChargerLog, ChargerLogLine))


def ensure_partitions(session: Session, days: set[date]) -> None:
    """Create the partitions that are missing. Safe to repeat, also concurrently: the second worker waits for the first.

    To be called before the transaction reads or writes the tables: who creates a partition waits for those who did.
    """
    for day, table in product(sorted(days), TABLES):
        name = _partition(table, day)
        if session.scalar(select(func.to_regclass(name))) is None:
            session.execute(select(func.pg_advisory_xact_lock(PARTITIONS_LOCK)))
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF {table} "
                    f"FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')"
                )
            )


def prune_logs(sessions: Sessions, retention_days: int) -> list[str]:
    """Drop the partitions of days before the retention, and their volumes. Returns the partitions' names."""
    with sessions.begin() as session:
        today = session.scalars(select(func.now())).one().astimezone(UTC).date()
        first = today - timedelta(days=retention_days)
        old = [
            name
            for table in TABLES
            for name in _partitions(session, table)
            if name < _partition(table, first)
        ]
        for name in old:
            session.execute(text(f"DROP TABLE {name}"))
        prune_volumes(session, before=first)
    return old


def log_partitions(session: Session) -> list[str]:
    """The names of the partitions: those of each table together, the oldest day first."""
    return [name for table in TABLES for name in _partitions(session, table)]


def _partitions(session: Session, table: str) -> list[str]:
    names = session.scalars(
        text(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
            "WHERE inhparent = to_regclass(:table)"
        ),
        {"table": table},
    )
    return sorted(names)


def _partition(table: str, day: date) -> str:
    return f"{table}_{day:%Y%m%d}"
