"""Frames are stored in a partition per day, which is dropped after the retention."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from shared.models import LogCursor
from tests.support.world import World
from tests.worker.logs.log_group import LogGroup
from worker.logs.partitions import prune_logs


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
