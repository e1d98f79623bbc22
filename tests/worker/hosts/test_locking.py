"""Transactions lock chargers, then hosts, then what is on these, each in the order of their ids: so none waits for another."""

from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy import Select, select

from shared.models import Host, HostCharger
from shared.vocabulary import Placement
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.waiting import wait_until
from tests.support.world import HOSTING, World
from tests.worker.test_locking import waiting
from worker.hosts.place import place
from worker.observe.on_hosts import observe_on_hosts
from worker.reconcile.desired import newest_desired_states
from worker.reconcile.shared_place import decision_of


def free_while_waiting(
    world: World, work: Callable[[], object], held: Select[str], charger_ids: Collection[str]
) -> bool:
    """Whether the work, which waits for the row that is held, has not locked these chargers' places. Then it goes on to its end."""
    with ThreadPoolExecutor(1) as threads:
        with world.sessions.begin() as holder:
            holder.execute(held.with_for_update(key_share=True))
            working = threads.submit(work)
            wait_until(lambda: waiting(world) == 1)
            places = select(HostCharger.charger_id).where(HostCharger.charger_id.in_(charger_ids))
            free = holder.scalars(places.with_for_update(key_share=True, skip_locked=True)).all()
        working.result(10)
    return set(free) == set(charger_ids)


def test_placing_waits_for_a_host_before_it_locks_what_is_on_it(world: World) -> None:
    first, second = sorted(world.create(f"CP-{number}", Placement.SHARED) for number in range(2))
    world.converge(first)

    def place_both() -> None:
        with world.sessions.begin() as session:
            desired = newest_desired_states(session.connection(), [first, second])
            place(session, [decision_of(each) for each in desired], HOSTING.capacity)

    assert free_while_waiting(world, place_both, select(Host.id), [first])
    assert [host.chargers for host in hosts_of(world.sessions)] == [2]


def test_an_observation_waits_for_the_place_of_a_late_charger_before_it_locks_later_ones(
    world: World,
) -> None:
    late, crashed = sorted(world.create(f"CP-{number}", Placement.SHARED) for number in range(2))
    for charger_id in (late, crashed):
        world.converge(charger_id)
    host = FakeHost(world.sessions, hosts_of(world.sessions)[0].id)
    host.hello()
    host.faults[late] = "Its settings are refused"
    host.work()
    world.observe_once()
    world.hours_pass(late)
    del host.running[crashed]
    host.say(crashed, 1)

    observe = partial(observe_on_hosts, world.sessions, world.timing, [late, crashed])

    place_of_late = select(HostCharger.charger_id).where(HostCharger.charger_id == late)
    assert free_while_waiting(world, observe, place_of_late, [crashed])
    assert world.charger(late).provisioning_status == "FAILED"
    assert world.charger(crashed).running_count == 0
