"""Any order, any repeat, any number of workers: each shared charger has one host of its organization, and none is too full."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select, update

from shared.database.engine import Sessions
from shared.fleet.errors import ChargerNotFound
from shared.models import Charger, Host, HostCharger
from shared.vocabulary import Placement
from tests.conftest import delete_rows
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.world import HOSTING, World


def shared(world: World, identity: str, organization: str = "acme") -> str:
    return world.create(identity, Placement.SHARED, organization)


def placement_of(sessions: Sessions) -> dict[str, str]:
    """The host of each charger that has one. Checks what must hold of all hosts."""
    with sessions() as session:
        rows = session.execute(
            select(
                HostCharger.charger_id, HostCharger.host_id, Charger.host_id, Charger.organization_id, Host
            )
            .join(Charger, Charger.id == HostCharger.charger_id)
            .join(Host, Host.id == HostCharger.host_id)
        ).all()
        counted = {host.id: host.chargers for host in session.scalars(select(Host))}
    for _, host_id, of_charger, organization_id, host in rows:
        assert (of_charger, organization_id) == (host_id, host.organization_id)
    filled = Counter(row[1] for row in rows)
    assert counted == {host_id: filled[host_id] for host_id in counted}
    assert all(count <= HOSTING.capacity for count in filled.values())
    return {row[0]: row[1] for row in rows}


def test_hosts_are_filled_before_another_is_opened(world: World) -> None:
    chargers = [shared(world, f"CP-{number}") for number in range(HOSTING.capacity + 1)]

    for charger_id in chargers:
        world.converge(charger_id)

    placed = placement_of(world.sessions)
    assert sorted(Counter(placed.values()).values()) == [1, HOSTING.capacity]


def test_a_charger_that_has_a_host_keeps_it(world: World) -> None:
    charger_id = shared(world, "CP-1")
    world.converge(charger_id)
    before = placement_of(world.sessions)
    host = FakeHost(world.sessions, before[charger_id])
    host.hello()
    host.work()
    world.observe()

    world.restart(charger_id)
    world.converge(charger_id)

    assert placement_of(world.sessions) == before


def test_a_charger_that_is_off_keeps_its_place_so_that_its_start_finds_room(world: World) -> None:
    chargers = [shared(world, f"CP-{number}") for number in range(HOSTING.capacity)]
    for charger_id in chargers:
        world.converge(charger_id)
    before = placement_of(world.sessions)
    host = FakeHost(world.sessions, before[chargers[0]])
    host.hello()
    host.work()
    world.observe()
    for charger_id in chargers:
        world.stop(charger_id)
        world.converge(charger_id)
    another = shared(world, "CP-another")
    world.converge(another)

    for charger_id in chargers:
        world.start(charger_id)
        world.converge(charger_id)

    placed = placement_of(world.sessions)
    assert placed.pop(another) != before[chargers[0]]
    assert placed == before


def test_an_organization_gets_no_place_on_the_host_of_another(world: World) -> None:
    chargers = [shared(world, "CP-1", organization) for organization in ("acme", "other")]

    for charger_id in chargers:
        world.converge(charger_id)

    assert len(set(placement_of(world.sessions).values())) == 2


def test_a_host_that_drains_or_is_deleted_or_has_no_room_in_its_process_gets_no_further_charger(
    world: World,
) -> None:
    closed: list[dict[str, Any]] = [
        {"draining_at": func.now()},
        {"deleted_at": func.now()},
        {"max_chargers": 1},
    ]
    for number, values in enumerate(closed):
        world.converge(shared(world, f"CP-{number}"))
        with world.sessions.begin() as session:
            session.execute(update(Host).values(values))
        assert len(placement_of(world.sessions)) == number + 1

    assert len(hosts_of(world.sessions)) == 3


def test_workers_that_place_at_the_same_time_open_no_more_hosts_than_are_needed(world: World) -> None:
    chargers = [
        shared(world, f"CP-{number}", organization)
        for number in range(10)
        for organization in ("acme", "other")
    ]

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(world.converge, chargers * 2))

    placed = placement_of(world.sessions)
    assert set(placed) == set(chargers)
    assert len(hosts_of(world.sessions)) == 2 * -(-10 // HOSTING.capacity)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.integers(0, 7), st.booleans()), max_size=30),
    threads=st.integers(1, 4),
)
def test_in_any_order_of_deletes_and_messages_the_counts_of_hosts_are_those_of_their_chargers(
    world: World, engine: Engine, steps: list[tuple[int, bool]], threads: int
) -> None:
    delete_rows(engine)
    organizations = [f"org-{number % 2}" for number in range(8)]
    chargers = [shared(world, f"CP-{number}", organizations[number]) for number in range(8)]

    def step(number: int, delete: bool) -> None:
        if delete:
            with suppress(ChargerNotFound):
                world.delete(chargers[number], organizations[number])
        world.converge(chargers[number])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(step, *zip(*steps, strict=True)) if steps else [])
    for charger_id in chargers:
        world.wait_is_over(charger_id)
        world.converge(charger_id)

    deleted = {number for number, delete in steps if delete}
    assert set(placement_of(world.sessions)) == {
        chargers[number] for number in range(8) if number not in deleted
    }
    assert all(world.gone(chargers[number]) for number in deleted)


def test_placing_a_charger_takes_few_statements(world: World) -> None:
    world.converge(shared(world, "CP-1"))
    charger_id = shared(world, "CP-2")
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = world.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", note)
    world.converge(charger_id)
    event.remove(engine, "before_cursor_execute", note)

    assert len(statements) <= 10
