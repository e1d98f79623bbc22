"""Only the log reader writes links. Nothing waits for it, and lists and events follow."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count, islice
from random import Random
from time import monotonic

import pytest
from sqlalchemy import delete, func, select, text, update

from shared.broker.app import make_celery
from shared.fleet.errors import ChargerNotFound
from shared.fleet.locking import lock_chargers
from shared.models import Charger, ChargerEvent, ChargerLink
from tests.support.fake_ecs import fail_once
from tests.support.links import line, read_lines
from tests.support.waiting import wait_until
from tests.support.world import World
from tests.worker.logs.linking import A_MINUTE, NOW, boot, listed_state, running_task
from worker.logs import links
from worker.logs.apply_links import apply_links
from worker.maintenance.sweep import sweep

# Lists and events.


def test_a_locked_charger_does_not_delay_the_links_of_others(world: World) -> None:
    held, free = world.ready("CP-1"), world.ready("CP-2")
    lines = [each for one in (held, free) for each in boot(one, running_task(world, one), NOW)]

    with world.sessions.begin() as holder:
        lock_chargers(holder, [held])
        read_lines(world.sessions, *lines)
        meanwhile = (listed_state(world, held), listed_state(world, free))
    read_lines(world.sessions)

    assert (meanwhile, listed_state(world, held)) == ((None, "accepted"), "accepted")


def test_a_reader_of_events_misses_none_while_a_page_is_written(world: World) -> None:
    """The ids of its events grow in the order of their commits."""
    charger_id = world.ready()

    def newest() -> int:
        with world.sessions() as session:
            return session.scalar(select(func.max(ChargerEvent.id))) or 0

    with world.sessions.begin() as page:
        links.write_links(page, boot(charger_id, running_task(world, charger_id), NOW))
        world.stop(charger_id)
        read = newest()
    read_lines(world.sessions)

    with world.sessions() as session:
        new = session.execute(
            select(ChargerEvent.type, ChargerEvent.data).where(ChargerEvent.id > read)
        ).all()
    assert [(kind, data["state"]) for kind, data in new] == [("ocpp", "accepted")]


def test_a_line_that_is_read_again_writes_nothing(world: World) -> None:
    charger_id = world.ready()
    lines = [*boot(charger_id, running_task(world, charger_id), NOW), line(charger_id, None, NOW + A_MINUTE)]
    read_lines(world.sessions, *lines)
    rows = text("SELECT xmin::text FROM charger_links UNION ALL SELECT xmin::text FROM chargers")
    with world.sessions() as session:
        before = session.scalars(rows).all()

    read_lines(world.sessions, *lines)

    with world.sessions() as session:
        # Only locks are taken, which make no new version of a row.
        assert session.scalars(rows).all() == before


# Locks.


def _observe(world: World, charger_id: str) -> None:
    before = world.charger(charger_id).observed_at
    world.observe_once()
    after = world.charger(charger_id).observed_at
    assert before is not None and after is not None and after > before


def _sweep(world: World, charger_id: str) -> None:
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(publish_at=func.now()))
    sweep(world.sessions, make_celery("memory://", publisher=True))
    published_again_at = world.charger(charger_id).publish_at
    assert published_again_at is not None and published_again_at > datetime.now(UTC)


def _fail(world: World, charger_id: str) -> None:
    world.stop(charger_id)
    world.ecs.script.append(fail_once())
    world.converge(charger_id)
    assert world.charger(charger_id).attempts == 1


CHANGES: dict[str, Callable[[World, str], object]] = {
    "stop": World.stop,
    "update": lambda world, charger_id: world.update(charger_id, ws_url="ws://other.test/ocpp"),
    "delete": World.delete,
    "observation": _observe,
    "sweep": _sweep,
    "a call that failed": _fail,
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("link", ["new", "known"])
def test_no_change_waits_for_a_page_that_is_being_written(world: World, change: str, link: str) -> None:
    charger_id = world.ready()
    task = running_task(world, charger_id)
    if link == "known":
        read_lines(world.sessions, line(charger_id, "connecting", NOW, task))

    with world.sessions.begin() as page:
        links.write_links(page, boot(charger_id, task, NOW + A_MINUTE))
        started = monotonic()
        CHANGES[change](world, charger_id)
        took_s = monotonic() - started

    assert took_s < 2  # it takes some milliseconds; a lock is waited for 5 s


def test_a_charger_that_is_removed_while_a_page_is_written_leaves_no_link(world: World) -> None:
    gone, stays = sorted(world.ready(f"CP-{number}") for number in range(2))
    read_lines(world.sessions, line(gone, "connecting", NOW, "first"))
    lines = [
        line(each, "accepted", NOW + A_MINUTE, task) for each in (gone, stays) for task in ("first", "second")
    ]

    with ThreadPoolExecutor(2) as pool:
        with world.sessions.begin() as session:
            session.execute(delete(Charger).where(Charger.id == gone))
            reading = pool.submit(read_lines, world.sessions, *lines)
            _wait_for_locks(world, 1)
        reading.result(10)
        with world.sessions.begin() as page:
            links.write_links(
                page, [line(stays, "rejected", NOW + 2 * A_MINUTE, task) for task in ("second", "third")]
            )
            removing = pool.submit(_remove, world, stays)
            _wait_for_locks(world, 1)
            links.write_links(page, [line(stays, "rejected", NOW + 2 * A_MINUTE, "fourth")])
        removing.result(10)

    with world.sessions() as session:
        assert session.scalars(select(ChargerLink.charger_id)).all() == []


def test_two_readers_at_once_take_the_links_in_one_order(world: World) -> None:
    chargers = sorted(world.create(f"CP-{number}") for number in range(5))
    lines = [line(each, "connected", NOW + A_MINUTE, "a") for each in chargers]
    read_lines(world.sessions, *(line(each, "connecting", NOW, "a") for each in chargers))

    with ThreadPoolExecutor(2) as pool:
        with world.sessions.begin() as holder:
            middle = select(ChargerLink).where(ChargerLink.charger_id == chargers[2])
            holder.execute(middle.with_for_update())
            readings = [pool.submit(read_lines, world.sessions, *reversed(lines))]
            _wait_for_locks(world, 1)
            readings.append(pool.submit(read_lines, world.sessions, *lines))
            _wait_for_locks(world, 2)
        for reading in readings:
            reading.result(10)

    with world.sessions() as session:
        assert session.scalars(select(ChargerLink.state)).all() == ["connected"] * 5


def test_postgresql_finds_no_deadlock_between_the_log_reader_and_all_others(
    world: World, redis_url: str
) -> None:
    """Each changes many chargers, and without a common order they would deadlock. Some chargers are removed meanwhile."""
    chargers = [world.ready(f"CP-{number:02}") for number in range(12)]
    celery = make_celery(f"{redis_url.rpartition('/')[0]}/9", publisher=True)  # no worker reads it
    times = count(1)
    removed = iter(chargers[::3])
    reading, writing = (Random(seed) for seed in (1, 2))  # an order, not a secret

    def read() -> None:
        at = NOW + next(times) * A_MINUTE
        lines = [line(each, "rejected", at, task) for each in chargers for task in ("first", "second")]
        reading.shuffle(lines)
        read_lines(world.sessions, *lines)

    def command() -> None:
        for charger_id in writing.sample(chargers, 6):
            with suppress(ChargerNotFound):
                world.start(charger_id)

    def publish() -> None:
        with world.sessions.begin() as session:
            lock_chargers(session, chargers)  # as every part of the product does
            session.execute(update(Charger).values(publish_at=func.now()))
        sweep(world.sessions, celery)

    def remove() -> None:
        for charger_id in islice(removed, 1):
            _remove(world, charger_id)

    parties = (read, read, command, publish, remove, world.observe_once)
    with ThreadPoolExecutor(len(parties)) as pool:
        rounds = [pool.submit(_often, party) for party in parties]
        for each in rounds:
            each.result(60)
    apply_links(world.sessions, settle_s=5)  # as the next reader does, of chargers that were locked

    with world.sessions() as session:
        left = session.scalars(select(ChargerLink.charger_id).distinct()).all()
        not_applied = session.scalar(select(func.count()).where(~ChargerLink.noted))
    assert set(left) == set(chargers) - set(chargers[::3])
    assert not_applied == 0


def _often(party: Callable[[], object]) -> None:
    for _ in range(8):
        party()


def _remove(world: World, charger_id: str) -> None:
    with world.sessions.begin() as session:
        session.execute(delete(Charger).where(Charger.id == charger_id))


def _wait_for_locks(world: World, number: int) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    def waits() -> bool:
        with world.sessions() as session:
            return bool(session.scalar(text(waiting)) == number)

    wait_until(waits)
