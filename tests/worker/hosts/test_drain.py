"""A charger changes its host only when the old one has ended it: never two sessions of one identity, in any order."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import Engine, func, select, update

from shared.fleet import hosts
from shared.models import Host, HostCharger
from shared.vocabulary import CommandStatus, Placement
from tests.conftest import delete_rows
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.waiting import wait_until
from tests.support.world import ORGANIZATION, World
from tests.worker.test_locking import waiting
from worker.maintenance.keep_hosts import keep_hosts
from worker.observe.observe import observe

CHARGERS = 4  # more than a host of the tests takes


def keep_hosts_now(world: World) -> None:
    """A worker looks at all hosts; nothing else happens."""
    with world.sessions.begin() as session:
        session.execute(update(Host).values(converge_at=func.now()))
    keep_hosts(world.sessions, world.ecs, world.timing, world.ecs.spec)


class Fleet:
    """Some shared chargers, and the processes of all hosts."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.processes: dict[str, FakeHost] = {}
        self.chargers = [world.create(f"CP-{number}", Placement.SHARED) for number in range(CHARGERS)]

    def message(self, charger_id: str) -> None:
        self.world.wait_is_over(charger_id)
        self.world.converge(charger_id)

    def keep(self) -> None:
        """ECS makes the services of hosts, and starts their tasks."""
        keep_hosts_now(self.world)
        self.world.ecs.settle()
        for host in hosts_of(self.world.sessions):
            if host.id not in self.processes and self.world.ecs.runs(host.id):
                self.processes[host.id] = FakeHost(self.world.sessions, host.id)
                self.processes[host.id].hello()

    def work(self) -> None:
        for process in self.processes.values():
            process.work()

    def observe(self) -> None:
        observe(self.world.sessions, self.world.ecs, self.world.timing)

    def drain(self, host_id: str) -> None:
        with self.world.sessions.begin() as session:
            hosts.drain_host(session, organization_id=ORGANIZATION, host_id=host_id)

    def everything(self) -> None:
        """All do their part, as often as it takes."""
        for _ in range(4):
            self.keep()
            for charger_id in self.chargers:
                self.message(charger_id)
            self.work()
            self.observe()

    def sessions_of_chargers(self) -> Counter[str]:
        return Counter(charger_id for each in self.processes.values() for charger_id in each.running)


def test_the_chargers_of_a_draining_host_move_to_another_one_and_it_is_removed(world: World) -> None:
    fleet = Fleet(world)
    fleet.everything()
    first, _ = hosts_of(world.sessions)
    stopped = fleet.chargers[0]
    world.stop(stopped)
    fleet.everything()
    before = {charger_id: world.charger(charger_id) for charger_id in fleet.chargers}

    fleet.drain(first.id)
    fleet.everything()

    assert first.id not in {host.id for host in hosts_of(world.sessions)}
    for charger_id in fleet.chargers:
        after = world.charger(charger_id)
        assert after.host_id not in {first.id, None}
        assert (after.generation, after.drifted_at) == (before[charger_id].generation, None)
        assert after.running_count == (0 if charger_id == stopped else 1)
    assert world.open_commands() == 0


def test_a_moving_charger_does_not_start_anew_before_its_old_host_has_said_that_it_ended(
    world: World,
) -> None:
    fleet = Fleet(world)
    fleet.everything()
    first = world.charger(fleet.chargers[0]).host_id
    assert first is not None

    fleet.drain(first)
    fleet.keep()
    fleet.message(fleet.chargers[0])
    fleet.observe()
    fleet.message(fleet.chargers[0])

    assert world.charger(fleet.chargers[0]).host_id == first


def test_a_crash_before_the_move_is_not_taken_for_the_end(world: World) -> None:
    """The host starts such a charger again until it has heard that the charger leaves."""
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    process = fleet.processes[first]
    del process.running[charger_id]
    process.say(charger_id, 1)

    fleet.drain(first)
    fleet.keep()
    fleet.message(charger_id)

    assert world.charger(charger_id).host_id == first


def test_a_charger_that_is_still_ending_has_not_ended(world: World) -> None:
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    fleet.drain(first)
    fleet.keep()
    fleet.message(charger_id)

    fleet.processes[first].say(charger_id, 2)
    fleet.observe()
    fleet.message(charger_id)

    assert world.charger(charger_id).host_id == first


def test_a_command_of_a_moving_charger_is_applied_on_its_new_host(world: World) -> None:
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    fleet.drain(first)
    fleet.keep()
    fleet.message(charger_id)

    stop = world.stop(charger_id)
    fleet.everything()

    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert (world.charger(charger_id).host_id == first, fleet.sessions_of_chargers()[charger_id]) == (
        False,
        0,
    )


def test_a_charger_whose_host_ends_it_after_its_command_has_failed_gets_another_host(world: World) -> None:
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    fleet.drain(first)
    restart = world.restart(charger_id)
    fleet.message(charger_id)
    world.hours_pass(charger_id)
    fleet.message(charger_id)

    fleet.processes[first].work()
    world.observe_once()
    world.observe_once()
    published_at = world.charger(charger_id).publish_at
    world.converge(charger_id)

    assert world.status(restart) == CommandStatus.FAILED
    assert published_at is not None
    assert world.charger(charger_id).host_id not in {first, None}


def test_a_task_that_is_stopping_still_runs_the_chargers_of_a_host_that_is_not_heard_of(world: World) -> None:
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    fleet.processes[first].fall_silent(timedelta(minutes=10))
    fleet.drain(first)

    world.ecs.begin_to_stop(first)
    keep_hosts_now(world)
    fleet.message(charger_id)
    while_stopping = world.charger(charger_id).host_id
    world.ecs.crash(first)
    keep_hosts_now(world)
    fleet.message(charger_id)

    assert while_stopping == first
    assert world.charger(charger_id).host_id not in {first, None}


def test_an_observation_that_waits_for_a_host_holds_none_of_what_its_hello_locks_next(world: World) -> None:
    """A hello locks the row of its host, and then what the host said of its chargers."""
    fleet = Fleet(world)
    fleet.everything()
    charger_id = fleet.chargers[0]
    first = world.charger(charger_id).host_id
    assert first is not None
    fleet.drain(first)
    fleet.keep()
    fleet.message(charger_id)
    fleet.work()

    with ThreadPoolExecutor(1) as pool:
        with world.sessions.begin() as hello:
            hello.execute(select(Host.id).where(Host.id == first).with_for_update(key_share=True))
            observation = pool.submit(fleet.observe)
            wait_until(lambda: waiting(world) == 1)

            said = select(HostCharger.charger_id).where(HostCharger.host_id == first)
            locked = hello.scalars(said.with_for_update(key_share=True, nowait=True)).all()
        observation.result(10)

    assert charger_id in locked


class Moves(RuleBasedStateMachine):
    """Hosts drain, die, fall silent and come back while workers, hosts and clients act in any order."""

    world: World
    engine: Engine

    def __init__(self) -> None:
        super().__init__()
        delete_rows(self.engine)
        self.world.ecs = type(self.world.ecs)()
        self.fleet = Fleet(self.world)
        self.fleet.everything()

    @rule(number=st.integers(0, CHARGERS - 1))
    def message(self, number: int) -> None:
        self.fleet.message(self.fleet.chargers[number])

    @rule(number=st.integers(0, CHARGERS - 1), command=st.sampled_from(["start", "stop", "restart"]))
    def command(self, number: int, command: str) -> None:
        getattr(self.world, command)(self.fleet.chargers[number])

    @rule()
    def keep(self) -> None:
        self.fleet.keep()

    @rule(data=st.data())
    def work(self, data: st.DataObject) -> None:
        self._host(data).work()

    @rule()
    def observe(self) -> None:
        self.fleet.observe()

    @rule(data=st.data())
    def drain(self, data: st.DataObject) -> None:
        opened = [host.id for host in hosts_of(self.world.sessions)]
        if opened:
            self.fleet.drain(data.draw(st.sampled_from(opened)))

    @rule(data=st.data())
    def fall_silent(self, data: st.DataObject) -> None:
        self._host(data).fall_silent()

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        host = self._host(data)
        if self.world.ecs.runs(host.host_id):
            host.connect()

    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """The task ends; ECS starts another one."""
        host = self._host(data)
        if self.world.ecs.runs(host.host_id):
            self.world.ecs.crash(host.host_id)
            host.running.clear()
            host.fall_silent()
            del self.fleet.processes[host.host_id]

    @invariant()
    def no_charger_runs_twice(self) -> None:
        assert max(self.fleet.sessions_of_chargers().values(), default=0) <= 1

    def teardown(self) -> None:
        for process in self.fleet.processes.values():
            if self.world.ecs.runs(process.host_id):
                process.connect()
        for _ in range(2):
            self.fleet.everything()
        running = self.fleet.sessions_of_chargers()
        for charger_id in self.fleet.chargers:
            charger = self.world.charger(charger_id)
            assert (charger.running_count, running[charger_id]) == (
                charger.desired_count,
                charger.desired_count,
            )
        assert self.world.open_commands() == 0

    def _host(self, data: st.DataObject) -> FakeHost:
        processes: dict[str, Any] = self.fleet.processes
        return (
            processes[data.draw(st.sampled_from(sorted(processes)))]
            if processes
            else FakeHost(self.world.sessions, "host-none")
        )


def test_in_any_order_a_charger_has_one_session_at_most_and_ends_as_desired(
    world: World, engine: Engine
) -> None:
    machine = type("Moves", (Moves,), {"world": world, "engine": engine})

    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )
