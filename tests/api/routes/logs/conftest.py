"""A charger, and lines of its log as the log reader stores them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from tests.api.routes.logs.written import Log
from tests.support.fleet import Fleet

DAYS = [datetime(2026, 4, day, tzinfo=UTC) for day in (8, 9, 10)]


@pytest.fixture
def log(fleet: Fleet) -> Iterator[Log]:
    """A charger's empty log, with partitions for three days."""
    charger_id = fleet.create()
    with fleet.sessions.begin() as session:
        for table in ("charger_logs", "charger_log_lines"):
            for day in DAYS:
                session.execute(
                    text(
                        f"CREATE TABLE {table}_{day:%Y%m%d} PARTITION OF {table} "
                        f"FOR VALUES FROM ('{day.isoformat()}') TO ('{(day + timedelta(days=1)).isoformat()}')"
                    )
                )
    yield Log(fleet, charger_id)
    with fleet.sessions.begin() as session:
        for table in ("charger_logs", "charger_log_lines"):
            for day in DAYS:
                session.execute(text(f"DROP TABLE {table}_{day:%Y%m%d}"))
