"""Many shared chargers at once come to what `converge` brings each of them to, in any order, with any repeat."""

from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event, func, select, text, update

from shared.fleet.errors import ChargerNotFound
from shared.models import Charger, Command, Host, HostCharger
from shared.vocabulary import CommandStatus
from tests.conftest import delete_rows
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.waiting import wait_until
from tests.support.world import HOSTING, ORGANIZATION, World
from tests.worker.hosts.test_place import placement_of, shared
from tests.worker.test_locking import waiting
from worker.hosts.place import Room, fill
from worker.reconcile.apply_on_hosts import apply_on_hosts

NUMBER = 5  # more than a host of the tests takes


def apply(world: World, charger_ids: Collection[str]) -> set[str]:
    return apply_on_hosts(world.sessions, HOSTING, charger_ids)


def several(world: World, number: int = NUMBER) -> list[str]:
    return [shared(world, f"CP-{place}") for place in range(number)]


def decided(world: World) -> dict[str, tuple[int, int, int, bool]]:
    """What each charger's host shall do."""
    with world.sessions() as session:
        rows = session.execute(
            text(
                "SELECT charger_id, generation, desired_count, restart_generation, leaving FROM host_chargers"
            )
        )
        return {charger_id: tuple(decision) for charger_id, *decision in rows}


def statements_of(world: World, work: Callable[[], object]) -> list[str]:
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = world.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", note)
    work()
    event.remove(engine, "before_cursor_execute", note)
    return statements


def test_many_are_placed_and_recorded_as_applied(world: World) -> None:
    chargers = several(world)

    applied = apply(world, chargers)

    assert applied == set(chargers)
    assert sorted(Counter(placement_of(world.sessions).values()).values()) == [2, HOSTING.capacity]
    for charger_id in chargers:
        charger = world.charger(charger_id)
        assert (charger.observed_generation, charger.publish_at, charger.service_status) == (
            1,
            None,
            "ACTIVE",
        )
        assert (charger.provisioning_status, charger.step) == ("PROVISIONING", "wait_until_running")
    with world.sessions() as session:
        assert set(session.scalars(select(Command.status))) == {CommandStatus.APPLIED}


def test_the_newest_of_several_commands_is_applied_and_the_older_ones_are_superseded(world: World) -> None:
    (charger_id,) = several(world, 1)
    apply(world, [charger_id])
    host = FakeHost(world.sessions, placement_of(world.sessions)[charger_id])
    host.hello()
    host.work()
    world.observe()
    stop, restart = world.stop(charger_id), world.restart(charger_id)

    apply(world, [charger_id])

    assert decided(world) == {charger_id: (3, 1, 3, False)}
    assert (world.status(stop), world.status(restart)) == (CommandStatus.SUPERSEDED, CommandStatus.APPLIED)


def test_the_statements_do_not_depend_on_the_number(world: World) -> None:
    one, many = several(world, 1), [shared(world, f"MANY-{number}") for number in range(7)]

    of_one = statements_of(world, lambda: apply(world, one))
    of_many = statements_of(world, lambda: apply(world, many))

    assert len(of_one) == len(of_many) <= 8


def test_a_dedicated_charger_and_one_that_is_deleted_are_left_to_converge(world: World) -> None:
    dedicated, deleted = world.create("CP-1"), shared(world, "CP-2")
    world.delete(deleted)

    applied = apply(world, [dedicated, deleted])

    assert applied == set()
    assert placement_of(world.sessions) == {}
    assert world.charger(dedicated).publish_at is not None
    assert world.charger(deleted).publish_at is not None


def test_one_whose_predecessor_is_still_being_removed_is_left_to_converge(world: World) -> None:
    first = shared(world, "CP-1")
    apply(world, [first])
    world.delete(first)
    successor, other = shared(world, "CP-1"), shared(world, "CP-2")

    applied = apply(world, [successor, other])

    assert applied == {other}
    assert decided(world).keys() == {first, other}


def test_one_that_leaves_its_host_is_left_to_converge(world: World) -> None:
    leaves, stays = several(world, 2)
    apply(world, [leaves, stays])
    with world.sessions.begin() as session:
        session.execute(update(HostCharger).where(HostCharger.charger_id == leaves).values(leaving=True))
        session.execute(update(Charger).values(provisioning_status="READY"))
    commands = [world.stop(leaves), world.stop(stays)]

    applied = apply(world, [leaves, stays])

    assert applied == {stays}
    assert [world.status(each) for each in commands] == [CommandStatus.QUEUED, CommandStatus.APPLIED]
    assert decided(world)[leaves] == (1, 1, 0, True)


def test_those_of_a_host_that_drains_are_left_to_converge(world: World) -> None:
    chargers = several(world, 2)
    apply(world, chargers)
    with world.sessions.begin() as session:
        session.execute(update(Host).values(draining_at=func.now()))
        session.execute(update(Charger).values(provisioning_status="READY"))
    for charger_id in chargers:
        world.stop(charger_id)

    assert apply(world, chargers) == set()
    assert all(world.charger(charger_id).observed_generation == 1 for charger_id in chargers)


@pytest.mark.parametrize(
    "values",
    [
        {"task_definition_arn": "arn:task-definition/of-the-service-that-it-leaves:1"},
        {"drifted_at": func.now()},
        {"not_before": func.now() + timedelta(hours=1)},
    ],
)
def test_one_that_first_has_something_else_to_do_is_left_to_converge(
    world: World, values: dict[str, Any]
) -> None:
    (charger_id,) = several(world, 1)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(values))

    assert apply(world, [charger_id]) == set()
    assert placement_of(world.sessions) == {}


def test_a_generation_that_comes_meanwhile_is_not_recorded_as_applied(world: World) -> None:
    """A client's stop has the row's lock while the create is being applied."""
    first, second = several(world, 2)
    with ThreadPoolExecutor(1) as pool:
        with world.sessions.begin() as session:
            session.execute(
                update(Charger)
                .where(Charger.id == first)
                .values(generation=2, desired_count=0, publish_at=func.now())
            )
            applying = pool.submit(apply, world, [first, second])
            wait_until(lambda: waiting(world) == 1)
        assert applying.result(10) == {second}

    assert decided(world).keys() == {second}
    assert world.charger(first).observed_generation == 0


def test_rooms_are_filled_from_the_fullest_on() -> None:
    rooms = [Room("empty", 0, 3), Room("fullest", 2, 1), Room("half", 1, 2)]

    assert fill(rooms, 2) == ["fullest", "half"]
    assert fill(rooms, 5) == ["fullest", "half", "half", "empty", "empty"]
    assert fill(rooms, 9) == ["fullest", "half", "half", "empty", "empty", "empty"]


def test_hosts_with_room_are_filled_before_one_is_opened(world: World) -> None:
    chargers = several(world, 7)
    apply(world, chargers[:4])

    apply(world, chargers[4:])

    assert sorted(Counter(placement_of(world.sessions).values()).values()) == [1, 3, 3]


def test_workers_that_apply_at_the_same_time_count_exactly_and_open_no_host_too_many(world: World) -> None:
    chargers = several(world, 20)
    portions = [chargers[start : start + size] for size in (4, 7, 20) for start in range(0, 20, size)]

    with ThreadPoolExecutor(8) as pool:
        work: list[Callable[[], object]] = [partial(world.converge, charger_id) for charger_id in chargers]
        work += [partial(apply, world, portion) for portion in portions + portions[::-1]]
        for future in [pool.submit(each) for each in work]:
            future.result(60)

    assert set(placement_of(world.sessions)) == set(chargers)
    assert len(hosts_of(world.sessions)) == -(-20 // HOSTING.capacity)
    assert all(world.charger(charger_id).observed_generation == 1 for charger_id in chargers)


REQUESTS = ("start", "stop", "restart", "delete")
CHANGES = st.tuples(st.sampled_from(REQUESTS), st.integers(0, NUMBER - 1))
WORK = st.tuples(st.sampled_from(["apply", "converge"]), st.sets(st.integers(0, NUMBER - 1), min_size=1))


@dataclass(frozen=True, slots=True)
class End:
    """What a course has come to, of each charger by its place."""

    generations: dict[int, tuple[int, int]]  #: and the observed ones
    decisions: dict[int, tuple[int, int, int, bool]]
    statuses: dict[int, list[tuple[int, str]]]


def run(world: World, steps: list[tuple[str, Any]], *, at_once: bool) -> End:
    """A course from the beginning: all workers apply at once, or each charger has its message."""
    delete_rows(world.sessions.kw["bind"])
    chargers = several(world)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(provisioning_status="READY"))

    def work(places: Collection[int]) -> None:
        some = [chargers[place] for place in sorted(places)]
        left = set(some) - (apply(world, some) if at_once else set())
        for charger_id in sorted(left):
            world.converge(charger_id)

    for what, of in steps:
        if what in {"apply", "converge"}:
            work(of)
        else:
            with suppress(ChargerNotFound):
                getattr(world, what)(chargers[of], ORGANIZATION)
    work(range(NUMBER))
    placement_of(world.sessions)
    places = {charger_id: place for place, charger_id in enumerate(chargers)}
    with world.sessions() as session:
        rows = session.execute(select(Charger.id, Charger.generation, Charger.observed_generation)).all()
        commands = session.execute(
            select(Command.charger_id, Command.generation, Command.status).order_by(Command.generation)
        ).all()
    statuses: dict[int, list[tuple[int, str]]] = {}
    for charger_id, generation, status in commands:
        statuses.setdefault(places[charger_id], []).append((generation, status))
    return End(
        {places[charger_id]: (generation, observed) for charger_id, generation, observed in rows},
        {places[charger_id]: decision for charger_id, decision in decided(world).items()},
        statuses,
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(CHANGES, WORK), max_size=14))
@example(steps=[("apply", {0}), ("stop", 0), ("apply", {0, 1}), ("delete", 0), ("apply", {0, 2})])
def test_in_any_order_many_at_once_come_to_what_each_comes_to_by_itself(
    world: World, engine: Engine, steps: list[tuple[str, Any]]
) -> None:
    assert run(world, steps, at_once=True) == run(world, steps, at_once=False)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.one_of(CHANGES, WORK), max_size=24), threads=st.integers(2, 4))
def test_in_any_order_of_threads_the_newest_generation_is_decided_and_counted_once(
    world: World, engine: Engine, steps: list[tuple[str, Any]], threads: int
) -> None:
    delete_rows(engine)
    chargers = several(world)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(provisioning_status="READY"))

    def step(what: str, of: Any) -> None:
        if what == "apply":
            apply(world, [chargers[place] for place in of])
        elif what == "converge":
            for place in of:
                world.converge(chargers[place])
        else:
            with suppress(ChargerNotFound):
                getattr(world, what)(chargers[of], ORGANIZATION)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(step, what, of) for what, of in steps]:
            future.result(60)
    for charger_id in set(chargers) - apply(world, chargers):
        world.wait_is_over(charger_id)
        world.converge(charger_id)

    deleted = {chargers[of] for what, of in steps if what == "delete"}
    assert set(placement_of(world.sessions)) == set(chargers) - deleted
    with world.sessions() as session:
        rows = {row.id: row for row in session.scalars(select(Charger))}
    assert rows.keys() == set(chargers) - deleted
    for charger_id, (generation, desired_count, restart_generation, leaves) in decided(world).items():
        row = rows[charger_id]
        assert (generation, row.observed_generation) == (row.generation, row.generation)
        assert (desired_count, restart_generation) == (row.desired_count, row.restart_generation)
        assert not leaves
