"""Who changes several chargers at once takes them in one order."""

from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import select, text

from shared.models import Charger
from tests.embedded.waiting import wait_until
from tests.worker.conftest import World
from worker.locking import lock_chargers


def waiting(world: World) -> int:
    """Sessions of this database that wait for a lock."""
    count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with world.sessions() as session:
        return session.scalar(text(count)) or 0


def test_who_waits_for_a_charger_holds_none_that_comes_after_it(world: World) -> None:
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
