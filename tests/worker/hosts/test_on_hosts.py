"""Start, stop, restart and delete of a shared charger: rows for its host, no call to ECS, and the status is what the host said."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select, update

from shared.fleet.observed import observed_state
from shared.models import Host, HostCharger
from shared.vocabulary import CommandStatus, ObservedState, Placement
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.world import World
from worker.observe.observe import observe


@pytest.fixture
def charger_id(world: World) -> str:
    charger_id = world.create("CP-1", Placement.SHARED)
    world.converge(charger_id)
    return charger_id


@pytest.fixture
def host(world: World, charger_id: str) -> FakeHost:
    """Its process has started, and has not yet done anything."""
    host = FakeHost(world.sessions, hosts_of(world.sessions)[0].id)
    host.hello()
    return host


def row(world: World, charger_id: str) -> HostCharger:
    with world.sessions() as session:
        return session.get_one(HostCharger, charger_id)


def observed(world: World, charger_id: str) -> ObservedState:
    return observed_state(world.charger(charger_id))


def observe_what_is_due(world: World) -> int:
    return observe(world.sessions, world.ecs, world.timing)


def in_host(world: World, host: FakeHost, charger_id: str) -> None:
    """The worker, the host and the observer do their part."""
    world.converge(charger_id)
    host.work()
    world.observe_once()


def test_a_new_charger_is_ready_when_its_host_says_that_it_runs(
    world: World, host: FakeHost, charger_id: str
) -> None:
    before = world.charger(charger_id)

    host.work()
    world.observe_once()

    ready = world.charger(charger_id)
    assert (before.provisioning_status, before.step) == ("PROVISIONING", "wait_until_running")
    assert (ready.provisioning_status, ready.step, ready.running_count) == ("READY", None, 1)
    assert ready.running_task_arn == f"{host.host_id}/{host.running[charger_id][0]}"
    assert (world.open_commands(), world.ecs.mutations) == (0, [])


def test_a_stop_and_a_start_succeed_when_the_host_says_so(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    stop = world.stop(charger_id)
    world.converge(charger_id)
    world.observe_once()
    before = (world.status(stop), observed(world, charger_id))
    host.work()
    world.observe_once()
    after = (world.status(stop), observed(world, charger_id))
    start = world.start(charger_id)
    in_host(world, host, charger_id)

    assert before == (CommandStatus.APPLIED, ObservedState.STOPPING)
    assert after == (CommandStatus.SUCCEEDED, ObservedState.STOPPED)
    assert (world.status(start), observed(world, charger_id)) == (
        CommandStatus.SUCCEEDED,
        ObservedState.RUNNING,
    )


def test_a_restart_succeeds_with_another_start_of_the_charger(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    first = world.charger(charger_id)
    restart = world.restart(charger_id)
    world.converge(charger_id)
    world.converge(charger_id)
    world.observe_once()
    before = world.status(restart)
    host.work()
    host.work()
    world.observe_once()

    second = world.charger(charger_id)
    assert (before, world.status(restart)) == (CommandStatus.APPLIED, CommandStatus.SUCCEEDED)
    assert first.running_task_arn != second.running_task_arn
    assert second.running_task_id == host.running[charger_id][0]
    assert second.running_task_generation == second.generation


def test_a_change_of_its_settings_reaches_it_over_the_control_link_without_a_command(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)

    world.update(charger_id, ws_url="ws://csms.test/other")

    assert (world.charger(charger_id).ws_url, world.charger(charger_id).generation) == (
        "ws://csms.test/other",
        1,
    )
    assert world.open_commands() == 0


def test_an_answer_to_an_older_generation_finishes_no_newer_command(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    stop = world.stop(charger_id)
    start = world.start(charger_id)
    world.converge(charger_id)

    host.say(charger_id, 2)
    world.observe_once()

    assert world.status(stop) == CommandStatus.SUPERSEDED
    assert world.status(start) == CommandStatus.APPLIED


def test_an_older_decision_does_not_replace_a_newer_one(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    world.stop(charger_id)
    with world.sessions.begin() as session:  # as another worker does for the start that came next
        session.execute(update(HostCharger).values(generation=5, desired_count=1))

    world.converge(charger_id)

    assert (row(world, charger_id).generation, row(world, charger_id).desired_count) == (5, 1)


def test_a_fault_is_the_reason_until_the_charger_runs(world: World, host: FakeHost, charger_id: str) -> None:
    host.faults[charger_id] = "It crashed 5 times in 10 minutes"
    in_host(world, host, charger_id)
    down = world.charger(charger_id)
    host.faults.clear()
    in_host(world, host, charger_id)

    assert (down.reason, down.reason_code) == ("It crashed 5 times in 10 minutes", "task_exited")
    assert observed_state(down) == ObservedState.STARTING
    up = world.charger(charger_id)
    assert (up.reason, up.reason_code, up.running_count) == (None, None, 1)


def test_a_crash_that_the_host_reports_is_seen_and_is_no_drift(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    host.running.clear()
    host.faults[charger_id] = "It crashed, and starts again in 2 s"
    host.say(charger_id, 1)

    drifted = world.observe_once()

    charger = world.charger(charger_id)
    assert (drifted, charger.drifted_at) == (0, None)
    assert (charger.running_count, charger.reason) == (0, "It crashed, and starts again in 2 s")


def test_what_a_host_said_is_observed_at_once_though_the_charger_is_not_due(
    world: World, host: FakeHost, charger_id: str
) -> None:
    world.timing = replace(world.timing, observe_every_s=60, observe_settled_every_s=60)
    world.observe_once()
    host.work()

    observe_what_is_due(world)

    assert world.charger(charger_id).provisioning_status == "READY"


def test_a_charger_of_a_host_that_is_not_heard_of_is_unknown_and_comes_back_with_it(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    with world.sessions.begin() as session:
        session.execute(update(Host).values(running_count=1, observed_at=func.now()))
    host.fall_silent()
    observe_what_is_due(world)
    silent = world.charger(charger_id)
    host.connect()
    observe_what_is_due(world)

    assert observed_state(silent) == ObservedState.UNKNOWN
    assert silent.reason is not None
    assert silent.reason.startswith(f"The host {host.host_id} has not been heard of since 2")
    back = world.charger(charger_id)
    assert (observed_state(back), back.reason) == (ObservedState.RUNNING, None)


def test_a_charger_of_a_host_that_stands_still_is_unknown_though_its_connection_lasts(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    with world.sessions.begin() as session:
        session.execute(update(Host).values(running_count=1, observed_at=func.now()))
    host.stand_still()
    observe_what_is_due(world)
    silent = world.charger(charger_id)
    host.report()
    world.observe_once()

    assert observed_state(silent) == ObservedState.UNKNOWN
    assert silent.reason is not None
    assert "has not been heard of" in silent.reason
    assert silent.observe_at is not None
    assert silent.observe_at < datetime.now(UTC) + timedelta(seconds=15)
    assert observed(world, charger_id) == ObservedState.RUNNING


def test_a_charger_is_starting_when_ecs_says_that_the_task_of_its_silent_host_is_gone(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    host.fall_silent()
    with world.sessions.begin() as session:
        session.execute(
            update(Host).values(
                running_count=0,
                observed_at=func.now(),
                reason="No capacity",
                reason_code="capacity_unavailable",
            )
        )

    observe_what_is_due(world)

    charger = world.charger(charger_id)
    assert observed_state(charger) == ObservedState.STARTING
    assert (charger.reason, charger.reason_code) == ("No capacity", "capacity_unavailable")


def test_chargers_are_starting_while_another_process_of_their_host_has_not_started_them(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    host.hello()
    observe_what_is_due(world)
    before = observed(world, charger_id)
    host.work()
    observe_what_is_due(world)

    assert (before, observed(world, charger_id)) == (ObservedState.STARTING, ObservedState.RUNNING)


def test_a_deleted_charger_is_removed_when_its_host_has_ended_it(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    world.delete(charger_id)
    world.converge(charger_id)
    world.observe_once()
    before = world.gone(charger_id)
    host.work()
    to_publish = observe_what_is_due(world)
    world.converge(charger_id)

    assert not before
    assert to_publish == 1
    assert world.gone(charger_id)
    assert hosts_of(world.sessions)[0].chargers == 0
    assert hosts_of(world.sessions)[0].empty_since is not None


def test_a_deleted_charger_does_not_wait_for_a_host_that_never_started(world: World, charger_id: str) -> None:
    world.delete(charger_id)
    world.converge(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert world.gone(charger_id)
    assert hosts_of(world.sessions)[0].chargers == 0


@pytest.mark.parametrize("heard", [True, False])
def test_a_charger_whose_host_never_ends_it_is_removed_once_the_service_of_the_host_is_gone(
    world: World, host: FakeHost, charger_id: str, heard: bool
) -> None:
    in_host(world, host, charger_id)
    host.fall_silent()
    world.delete(charger_id)
    world.converge(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)
    before = world.gone(charger_id)
    gone = {"service_status": "INACTIVE"} if heard else {"running_count": 0, "observed_at": in_two_minutes()}
    with world.sessions.begin() as session:
        session.execute(update(Host).values(gone))
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert (before, world.gone(charger_id)) == (False, True)


def in_two_minutes() -> object:
    return func.now() + timedelta(minutes=2)


def test_an_identity_is_not_placed_before_its_earlier_charger_has_ended(
    world: World, host: FakeHost, charger_id: str
) -> None:
    in_host(world, host, charger_id)
    world.delete(charger_id)
    world.converge(charger_id)
    second = world.create("CP-1", Placement.SHARED)
    world.converge(second)
    before = world.charger(second)
    host.work()
    observe_what_is_due(world)
    world.converge(charger_id)
    world.wait_is_over(second)
    world.converge(second)

    assert (before.host_id, before.step) == (None, "wait_for_predecessor")
    assert world.charger(second).host_id == host.host_id


def test_a_new_charger_that_does_not_come_up_in_time_has_failed_and_leaves_its_host(
    world: World, host: FakeHost, charger_id: str
) -> None:
    host.faults[charger_id] = "Its settings are refused"
    in_host(world, host, charger_id)
    world.hours_pass(charger_id)
    world.observe_once()
    failed = world.charger(charger_id)
    host.faults.clear()
    host.work()
    world.observe_once()

    assert (failed.provisioning_status, failed.desired_count) == ("FAILED", 0)
    assert failed.error is not None
    assert "Its settings are refused" in failed.error["message"]
    assert host.running == {}
    assert world.charger(charger_id).host_id is None
    assert hosts_of(world.sessions)[0].chargers == 0


def test_the_news_of_many_chargers_take_few_statements(world: World) -> None:
    chargers = [world.create(f"CP-{number}", Placement.SHARED) for number in range(30)]
    for charger_id in chargers:
        world.converge(charger_id)
    for each in hosts_of(world.sessions):
        host = FakeHost(world.sessions, each.id)
        host.hello()
        host.work()
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    engine = world.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", note)
    observe_what_is_due(world)
    event.remove(engine, "before_cursor_execute", note)

    with world.sessions() as session:
        assert session.scalars(select(HostCharger).where(~HostCharger.noted)).all() == []
    assert world.open_commands() == 0
    assert len(statements) < 30
