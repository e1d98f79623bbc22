"""A flood of one organization does not fill the disk, costs no other organization a frame, and its clients see the gap."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from shared.database.engine import Sessions
from shared.models import Charger, ChargerLog, LogCursor, LogCut, LogVolume
from tests.support.world import World
from tests.worker.logs.log_group import PAGE, LogGroup
from worker.logs.partitions import prune_logs
from worker.logs.quota import CUT_ACTION, ROW_BYTES

FRAMES = 10  #: of these tests that the quota allows


@pytest.fixture
def bounded(group: LogGroup) -> LogGroup:
    if (group.now.hour, group.now.minute) < (0, 5):  # so that all events are of one day
        group.now += timedelta(minutes=5)
    group.client.max_bytes_per_day = FRAMES * (ROW_BYTES + 20)
    return group


def moved_to(world: World, charger_id: str, organization_id: str) -> str:
    with world.sessions.begin() as session:
        session.execute(
            update(Charger).where(Charger.id == charger_id).values(organization_id=organization_id)
        )
    return charger_id


def actions(sessions: Sessions, charger_id: str) -> list[str]:
    with sessions() as session:
        of_charger = select(ChargerLog.action).where(ChargerLog.charger_id == charger_id)
        return list(session.scalars(of_charger.order_by(ChargerLog.timestamp, ChargerLog.event_id)))


def test_a_flood_loses_its_own_frames_and_says_so_once(world: World, bounded: LogGroup) -> None:
    flooder = world.create("CP-1")
    other = moved_to(world, world.create("CP-2"), "globex")
    for number in range(6 * PAGE):
        bounded.frame(flooder, ago_s=100 - number)
    logged = [bounded.frame(other, ago_s=50 - number) for number in range(PAGE)]

    bounded.read()
    bounded.frame(flooder)
    bounded.read()

    kept = actions(world.sessions, flooder)
    assert FRAMES - 2 <= kept.count("Heartbeat") <= FRAMES + 2
    assert kept.count(CUT_ACTION) == 1
    assert kept[-1] == CUT_ACTION
    assert bounded.messages(other) == logged


def test_each_charger_that_loses_frames_says_so(world: World, bounded: LogGroup) -> None:
    flooder, quiet = world.create("CP-1"), world.create("CP-2")
    for number in range(3 * PAGE):
        bounded.frame(flooder, ago_s=100 - number)
    bounded.frame(quiet)
    bounded.frame(quiet)

    bounded.read()

    assert actions(world.sessions, quiet) == [CUT_ACTION]


def test_pages_without_a_frame_that_is_stored_are_read_through(world: World, bounded: LogGroup) -> None:
    charger_id = world.create()
    bounded.link(charger_id, "connecting", ago_s=30)
    for number in range(2 * PAGE):
        bounded.frame("dep-of-another-installation", ago_s=20 - number)
    read = bounded.read()

    logged = bounded.frame(charger_id)

    assert (read, bounded.read()) == (0, 1)
    assert bounded.messages(charger_id) == [logged]


def test_lines_that_are_read_again_count_once(world: World, bounded: LogGroup) -> None:
    charger_id = world.create()
    for number in range(FRAMES - 2):
        bounded.frame(charger_id, ago_s=30 - number)
    bounded.read()
    bounded.read()

    with world.sessions() as session:
        counted = session.scalars(select(LogVolume.bytes)).one()

    assert (FRAMES - 3) * (ROW_BYTES + 20) <= counted <= (FRAMES - 1) * (ROW_BYTES + 20)
    assert actions(world.sessions, charger_id) == ["Heartbeat"] * (FRAMES - 2)


def test_the_next_day_has_a_quota_of_its_own(world: World, bounded: LogGroup) -> None:
    charger_id = world.create()
    today = bounded.now
    bounded.now = today - timedelta(days=1)
    for number in range(3 * PAGE):
        bounded.frame(charger_id, ago_s=100 - number)
    bounded.now = today
    since = round((today - timedelta(days=2)).timestamp() * 1000)
    for number in range(PAGE):
        bounded.frame(charger_id, ago_s=10 - number)

    read_from(bounded, since)

    assert actions(world.sessions, charger_id)[-PAGE:] == ["Heartbeat"] * PAGE
    assert CUT_ACTION in actions(world.sessions, charger_id)


def test_without_a_quota_everything_is_kept(world: World, bounded: LogGroup) -> None:
    bounded.client.max_bytes_per_day = 0
    charger_id = world.create()
    for number in range(4 * PAGE):
        bounded.frame(charger_id, ago_s=100 - number)

    assert bounded.read() == 4 * PAGE


def test_what_was_counted_goes_with_the_frames_of_its_day(world: World, bounded: LogGroup) -> None:
    charger_id = world.create()
    for number in range(3 * PAGE):
        bounded.frame(charger_id, ago_s=100 - number)
    bounded.read()
    with world.sessions.begin() as session:
        for rows in (LogVolume, LogCut):
            session.execute(update(rows).values(day=rows.day - 10))

    prune_logs(world.sessions, retention_days=7)

    with world.sessions() as session:
        assert session.scalars(select(LogVolume.day)).all() == []
        assert session.scalars(select(LogCut.day)).all() == []


def read_from(group: LogGroup, since_ms: int) -> None:
    """Read as if the last pass had ended at that time (Unix ms)."""
    with group.sessions.begin() as session:
        session.add(LogCursor(log_group=group.client.group, read_until_ms=since_ms))
    group.read()
