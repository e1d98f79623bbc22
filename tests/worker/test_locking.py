"""Transactions that change several chargers lock them in one order."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func, select, text, update

from shared.broker.app import make_celery
from shared.fleet.locking import lock_chargers
from shared.models import Charger
from shared.queues import TaskName, message
from shared.vocabulary import CommandStatus
from tests.support.waiting import wait_until
from tests.support.world import World
from tests.worker.rolling import beat, deliver_all, new_workers, old_fleet, under_way
from worker.maintenance import sweep
from worker.maintenance.leftovers import remove_leftovers
from worker.observe.due import release


def waiting(world: World) -> int:
    """Sessions of this database that wait for a lock."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with world.sessions() as session:
        return session.scalar(text(count)) or 0


def test_a_transaction_that_waits_for_a_charger_holds_none_that_comes_after_it(world: World) -> None:
    first, second = sorted(world.create(f"CP-{number}") for number in range(2))

    def lock_both() -> None:
        with world.sessions.begin() as session:
            lock_chargers(session, [second, first])

    with ThreadPoolExecutor(1) as pool:
        with world.sessions.begin() as holder:
            holder.execute(select(Charger.id).where(Charger.id == first).with_for_update())
            both = pool.submit(lock_both)
            wait_until(lambda: waiting(world) == 1)

            with world.sessions.begin() as other:
                free = other.scalars(
                    select(Charger.id).where(Charger.id == second).with_for_update(nowait=True)
                ).one()
        both.result(10)

    assert free == second


def test_a_reference_to_a_charger_delays_no_change_of_it(world: World) -> None:
    charger_id = world.ready()
    refer = select(Charger.id).where(Charger.id == charger_id).with_for_update(read=True, key_share=True)

    with world.sessions.begin() as referring:
        referring.execute(refer)
        stop = world.stop(charger_id)
        world.converge(charger_id)
        world.ecs.settle()
        world.observe()

    assert world.status(stop) == CommandStatus.SUCCEEDED


def test_a_page_of_log_lines_delays_no_rollout(world: World) -> None:
    """While chargers log much, the log reader holds references to them all the time."""
    chargers = old_fleet(world)
    new = new_workers(world)

    with world.sessions.begin() as page:
        page.execute(select(Charger.id).with_for_update(read=True, key_share=True))
        begun = beat(world, new)
        deliver_all(world, new, under_way(world, chargers))
        removed = remove_leftovers(world.sessions, new)

    assert (begun, removed) == (3, 3)


def release_claims(world: World, charger_ids: list[str]) -> None:
    chargers = [world.charger(charger_id) for charger_id in charger_ids]
    with world.sessions.begin() as session:
        release(session, chargers)


def find_the_broker_away(world: World, charger_ids: list[str]) -> None:
    celery = make_celery("redis://127.0.0.1:1/0", publisher=True)
    hints = [
        message(charger_id=one, command_id=None, event_type="stop_charger", generation=2, desired_count=0)
        for one in charger_ids
    ]
    sweep._publish(world.sessions, celery, [(TaskName.STOP, hint) for hint in hints])


@pytest.mark.parametrize("change", [release_claims, find_the_broker_away])
def test_postgresql_finds_no_deadlock_between_changes_of_many_chargers(
    world: World, change: Callable[[World, list[str]], None]
) -> None:
    """The rows are stored in the reverse order of their ids, so a change without an order locks the last one first."""
    charger_ids = sorted(world.create(f"CP-{number:02}") for number in range(40))
    for charger_id in reversed(charger_ids):
        with world.sessions.begin() as session:
            session.execute(
                update(Charger).where(Charger.id == charger_id).values(name="moved", publish_at=func.now())
            )
    with world.sessions.autocommit.connect() as connection:
        connection.execute(text("VACUUM ANALYZE chargers"))

    def lock_in_order() -> None:
        with world.sessions.begin() as session:
            lock_chargers(session, charger_ids)

    with ThreadPoolExecutor(2) as pool:
        with world.sessions.begin() as holder:
            holder.execute(select(Charger.id).where(Charger.id == charger_ids[20]).with_for_update())
            changing = pool.submit(change, world, charger_ids)
            wait_until(lambda: waiting(world) == 1)
            locking = pool.submit(lock_in_order)
            wait_until(lambda: waiting(world) == 2)

        locking.result(10)
        changing.result(10)
