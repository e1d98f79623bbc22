"""Frames are stored in a partition per day, which is dropped after the retention."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.models import LogCursor
from tests.support.waiting import wait_until
from tests.support.world import World
from tests.worker.logs.log_group import LogGroup
from worker.logs.client import Page
from worker.logs.page import write_page
from worker.logs.partitions import PARTITIONS_LOCK, ensure_partitions, prune_logs


def test_frames_lie_in_a_partition_for_their_day(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    days = [group.now - timedelta(seconds=ago_s) for ago_s in (0, 1_000)]
    midnight = group.now.replace(hour=0, minute=0, second=0, microsecond=0)
    before_midnight_s = (group.now - midnight).total_seconds() + 0.001
    group.frame(charger_id)
    group.frame(charger_id, ago_s=before_midnight_s)
    with world.sessions.begin() as session:  # as if the last read was yesterday
        session.add(
            LogCursor(
                log_group=group.client.group,
                read_until_ms=round((midnight - timedelta(hours=1)).timestamp() * 1000),
            )
        )

    group.read()

    with world.sessions() as session:
        rows = session.execute(
            text("SELECT tableoid::regclass::text, timestamp FROM charger_logs ORDER BY timestamp")
        ).all()
    assert len(rows) == len(days)
    assert [name for name, _ in rows] == [f"charger_logs_{at.astimezone(UTC):%Y%m%d}" for _, at in rows]
    assert rows[0][0] != rows[1][0]


def test_a_reader_that_waits_for_a_partition_holds_up_nobody_who_creates_one(world: World) -> None:
    """Creating one needs the whole table, so two readers that had begun to write would wait for each other."""
    charger_id = world.create()
    new_day = datetime.now(UTC) - timedelta(days=50)  # of which no other test has a partition
    frame = '{"type": "frame", "direction": "cp_to_csms", "action": "Heartbeat", "message": "[]"}'
    remark = '{"type": "log", "level": "info", "message": "a remark"}'
    page = Page([event(charger_id, datetime.now(UTC), frame), event(charger_id, new_day, remark)], None)

    def write() -> None:
        with world.sessions.begin() as session:
            write_page(session, page, max_bytes_per_day=1_000_000)

    with world.sessions.begin() as session:
        ensure_partitions(session, {datetime.now(UTC).date()})
    with ThreadPoolExecutor(1) as thread:
        with world.sessions.begin() as creator:
            creator.execute(select(func.pg_advisory_xact_lock(PARTITIONS_LOCK)))
            writing = thread.submit(write)
            wait_until(lambda: _holds_of_waiting(creator) is not None)
            held = _holds_of_waiting(creator)
        writing.result()

    assert held == []
    with world.sessions() as session:
        assert session.scalar(text("SELECT count(*) FROM charger_log_lines")) == 1
    prune_logs(world.sessions, retention_days=1)


def event(charger_id: str, at: datetime, line: str) -> Any:
    """An event of CloudWatch."""
    ms = round(at.timestamp() * 1000)
    return {"logStreamName": f"{charger_id}/charger/1", "timestamp": ms, "eventId": str(ms), "message": line}


def _holds_of_waiting(session: Session) -> Sequence[str] | None:
    """The log tables of which the one that waits for PARTITIONS_LOCK has locks; None while nobody waits."""
    waiting = text("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = :key AND NOT granted")
    pid = session.scalar(waiting, {"key": PARTITIONS_LOCK})
    if pid is None:
        return None
    held = text(
        "SELECT relname FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
        "WHERE pid = :pid AND relname LIKE 'charger\\_log%'"
    )
    return session.scalars(held, {"pid": pid}).all()


def test_days_beyond_the_retention_are_dropped(world: World, group: LogGroup) -> None:
    charger_id = world.create()
    group.frame(charger_id)
    group.read()
    today = datetime.now(UTC).date()
    with world.sessions.begin() as session:
        for days in (6, 7, 8):
            day = today - timedelta(days=days)
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS charger_logs_{day:%Y%m%d} PARTITION OF charger_logs "
                    f"FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')"
                )
            )

    dropped = prune_logs(world.sessions, retention_days=7)

    assert dropped == [f"charger_logs_{today - timedelta(days=8):%Y%m%d}"]
    assert len(group.messages(charger_id)) == 1
    prune_logs(world.sessions, retention_days=1)
