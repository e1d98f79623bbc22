"""A charger moves between a service of its own and a host: it ends in one place before it starts in the other."""

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, func, update

from shared.database.engine import Sessions
from shared.fleet.control import LINK_TIMEOUT
from shared.models import ControlLink, ControlSession
from shared.vocabulary import CommandStatus, ObservedState, Placement
from tests.conftest import delete_rows
from tests.support.fake_host import hosts_of
from tests.support.world import World
from tests.worker.hosts.moving import Hosts, active, go_on, observed


def test_it_starts_on_a_host_when_its_service_has_ended(world: World, hosts: Hosts, dedicated: str) -> None:
    move = world.update(dedicated, placement=Placement.SHARED)
    world.converge(dedicated)
    while_it_drains = (world.charger(dedicated).host_id, world.charger(dedicated).service_status)
    world.ecs.settle()
    world.observe_once()
    drained = (world.charger(dedicated).running_count, observed(world, dedicated))

    world.converge(dedicated)
    hosts.work()
    world.observe_once()

    charger = world.charger(dedicated)
    assert while_it_drains == (None, "DRAINING")
    assert drained == (0, ObservedState.STARTING)
    assert world.status(move) == CommandStatus.SUCCEEDED
    assert (charger.running_count, charger.host_id) == (1, hosts_of(world.sessions)[0].id)
    assert hosts.run(dedicated) == 1
    assert not active(world, dedicated)
    assert dedicated not in world.ecs.definitions


def test_it_starts_in_a_service_when_its_host_has_ended_it(world: World, hosts: Hosts, shared: str) -> None:
    move = world.update(shared, placement=Placement.DEDICATED)
    world.converge(shared)
    while_it_leaves = (active(world, shared), world.charger(shared).host_id is not None)
    hosts.work()
    world.observe_once()
    left = (hosts.run(shared), active(world, shared), world.charger(shared).host_id)

    world.work(shared)

    charger = world.charger(shared)
    assert while_it_leaves == (False, True)
    assert left == (0, False, None)
    assert world.status(move) == CommandStatus.SUCCEEDED
    assert (charger.running_count, charger.service_status) == (1, "ACTIVE")
    assert (charger.running_task_arn or "").startswith("arn:task/")
    assert [host.chargers for host in hosts_of(world.sessions)] == [0]


def test_a_service_that_drains_shows_what_still_runs(world: World, dedicated: str) -> None:
    world.update(dedicated, placement=Placement.SHARED)
    world.converge(dedicated)

    world.observe_once()

    charger = world.charger(dedicated)
    assert (charger.running_count, charger.service_status) == (1, "DRAINING")


@pytest.mark.parametrize("placement", Placement)
def test_a_charger_that_is_off_moves_and_stays_off(world: World, hosts: Hosts, placement: Placement) -> None:
    charger_id = world.create("CP-1", *set(Placement) - {placement})
    go_on(world, hosts, charger_id, rounds=2)
    world.stop(charger_id)
    go_on(world, hosts, charger_id)

    move = world.update(charger_id, placement=placement)
    go_on(world, hosts, charger_id, rounds=3)
    off = (world.status(move), observed(world, charger_id), world.ecs.runs(charger_id), hosts.run(charger_id))
    start = world.start(charger_id)
    go_on(world, hosts, charger_id, rounds=2)

    assert off == (CommandStatus.SUCCEEDED, ObservedState.STOPPED, 0, 0)
    assert world.status(start) == CommandStatus.SUCCEEDED
    assert (world.ecs.runs(charger_id), hosts.run(charger_id)) == (
        (1, 0) if placement == Placement.DEDICATED else (0, 1)
    )


def test_a_move_to_where_it_is_changes_nothing(world: World, dedicated: str) -> None:
    before = world.charger(dedicated).generation

    receipt = world.update(dedicated, placement=Placement.DEDICATED)

    assert (receipt.repeated, world.charger(dedicated).generation) == (True, before)


def test_a_charger_that_moves_and_is_deleted_leaves_nothing(
    world: World, hosts: Hosts, dedicated: str
) -> None:
    other = world.create("CP-2", Placement.SHARED)
    go_on(world, hosts, other)
    for charger_id, placement in ((dedicated, Placement.SHARED), (other, Placement.DEDICATED)):
        world.update(charger_id, placement=placement)
        world.converge(charger_id)
        world.delete(charger_id)

        go_on(world, hosts, charger_id, rounds=3)

        assert world.gone(charger_id)
        assert (hosts.run(charger_id), active(world, charger_id)) == (0, False)
        assert charger_id not in world.ecs.definitions
    assert [host.chargers for host in hosts_of(world.sessions)] == [0]


def test_it_is_placed_only_when_the_process_of_its_service_has_left_the_control_link(
    world: World, hosts: Hosts, dedicated: str
) -> None:
    connect_process_of(world.sessions, dedicated)
    move = world.update(dedicated, placement=Placement.SHARED)
    go_on(world, hosts, dedicated, rounds=3)
    waiting = (world.charger(dedicated).host_id, world.command(move).reason)
    with world.sessions.begin() as session:
        session.execute(update(ControlSession).values(disconnected_at=func.now()))

    go_on(world, hosts, dedicated, rounds=2)

    assert waiting == (None, "The process of its service is still connected")
    assert world.status(move) == CommandStatus.SUCCEEDED


def test_a_session_whose_link_has_died_holds_no_move_up(world: World, hosts: Hosts, dedicated: str) -> None:
    connect_process_of(world.sessions, dedicated)
    with world.sessions.begin() as session:
        session.execute(update(ControlLink).values(seen_at=func.now() - 2 * LINK_TIMEOUT))

    move = world.update(dedicated, placement=Placement.SHARED)
    go_on(world, hosts, dedicated, rounds=3)

    assert world.status(move) == CommandStatus.SUCCEEDED


def connect_process_of(sessions: Sessions, charger_id: str) -> None:
    with sessions.begin() as session:
        session.merge(ControlLink(id="link", seen_at=func.now()))
        session.add(
            ControlSession(
                process_id=charger_id,
                session_id="s",
                boot_id="b",
                link_id="link",
                version="0.1.0",
                connected_at=func.now(),
            )
        )


@pytest.mark.parametrize("placement", Placement)
def test_a_move_whose_command_has_failed_goes_on(world: World, hosts: Hosts, placement: Placement) -> None:
    charger_id = world.create("CP-1", *set(Placement) - {placement})
    go_on(world, hosts, charger_id, rounds=2)
    move = world.update(charger_id, placement=placement)
    world.converge(charger_id)
    world.hours_pass(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)
    failed = world.status(move)

    go_on(world, hosts, charger_id, rounds=4)

    assert failed == CommandStatus.FAILED
    assert observed(world, charger_id) == ObservedState.RUNNING
    assert (world.ecs.runs(charger_id), hosts.run(charger_id)) == (
        (1, 0) if placement == Placement.DEDICATED else (0, 1)
    )


STEPS = (
    "to a host",
    "to a service",
    "stop",
    "start",
    "restart",
    "worker",
    "hosts",
    "ecs",
    "observer",
    "time",
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), max_size=40), first=st.sampled_from(Placement))
def test_in_any_order_it_never_runs_twice_and_ends_where_it_was_sent_last(
    world: World, engine: Engine, steps: list[str], first: Placement
) -> None:
    delete_rows(engine)
    world.ecs.services.clear()
    world.ecs.definitions.clear()
    hosts = Hosts(world)
    charger_id = world.create("CP-1", first)
    go_on(world, hosts, charger_id, rounds=2)
    does: dict[str, Callable[[], object]] = {
        "to a host": partial(world.update, charger_id, placement=Placement.SHARED),
        "to a service": partial(world.update, charger_id, placement=Placement.DEDICATED),
        "stop": partial(world.stop, charger_id),
        "start": partial(world.start, charger_id),
        "restart": partial(world.restart, charger_id),
        "worker": partial(world.converge, charger_id),
        "hosts": hosts.work,
        "ecs": world.ecs.settle,
        "observer": world.observe_once,
        "time": partial(world.wait_is_over, charger_id),
    }
    for step in steps:
        does[step]()
        assert world.ecs.runs(charger_id) + hosts.run(charger_id) <= 1

    go_on(world, hosts, charger_id, rounds=6)

    charger = world.charger(charger_id)
    runs = (world.ecs.runs(charger_id), hosts.run(charger_id))
    on = charger.desired_count
    assert runs == ((on, 0) if charger.placement == Placement.DEDICATED else (0, on))
    assert (charger.running_count, world.open_commands()) == (on, 0)
    assert active(world, charger_id) == (charger.placement == Placement.DEDICATED)
