"""The status that the API shows is what ECS reports, and a service that ECS lost is created again."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import event, func, update

from shared.error_codes import ErrorCode
from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.links import line, read_lines, shown_link
from tests.support.plans import only_nested_loops
from tests.support.world import World
from worker.ecs.client import EcsRejected, EcsUnavailable, ServiceView
from worker.observe.due import claim_due
from worker.observe.observe import observe


def test_a_process_that_died_shows_as_not_running_with_its_reason(world: World) -> None:
    charger_id = world.ready()

    world.ecs.crash(charger_id)
    world.observe()
    dead = world.charger(charger_id)
    world.ecs.settle()
    world.observe()
    alive = world.charger(charger_id)

    assert (dead.running_count, dead.reason_code) == (0, "task_exited")
    assert dead.reason is not None
    assert "137" in dead.reason
    assert dead.provisioning_status == "READY"
    assert (alive.running_count, alive.reason, alive.reason_code) == (1, None, None)


@pytest.mark.parametrize("drift", ["count", "definition", "deleted"])
def test_a_service_that_somebody_else_changed_is_repaired(world: World, drift: str) -> None:
    charger_id = world.ready()
    service = world.ecs.services[charger_id]
    if drift == "count":
        service.desired_count = 0
    elif drift == "definition":
        service.task_definition_arn = "arn:task-definition/other:1"
    else:
        del world.ecs.services[charger_id]
    world.ecs.settle()

    assert world.observe() == 1
    drifted = world.charger(charger_id)
    world.work(charger_id)

    assert drifted.drifted_at is not None
    assert drifted.publish_at is not None
    repaired = world.charger(charger_id)
    assert (repaired.drifted_at, repaired.running_count, repaired.generation) == (None, 1, 1)
    assert repaired.observed_generation == 1


def test_a_call_that_takes_effect_after_a_newer_one_is_repaired(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.work(charger_id)

    world.ecs.services[charger_id].desired_count = 1  # a start that took effect late
    world.ecs.settle()
    world.observe()
    world.work(charger_id)

    assert world.ecs.runs(charger_id) == 0
    assert world.charger(charger_id).running_count == 0


def test_what_is_in_flight_is_no_drift(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)

    drifted = world.observe()

    assert drifted == 0
    assert world.charger(charger_id).drifted_at is None


def test_one_run_observes_every_charger_that_is_due(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    once_a_minute = replace(world.timing, observe_every_s=60, observe_settled_every_s=60)
    chargers = [world.ready(f"CP-{number}") for number in range(5)]
    before = [world.charger(charger_id).observed_at for charger_id in chargers]

    monkeypatch.setattr("worker.observe.observe.OBSERVE_LIMIT", 2)
    observe(world.sessions, world.ecs, once_a_minute)

    after = [world.charger(charger_id).observed_at for charger_id in chargers]
    assert all(later > earlier for earlier, later in zip(before, after, strict=True) if earlier and later)
    assert None not in after


def test_a_claim_never_has_more_than_its_limit_whatever_plan_the_database_chooses(world: World) -> None:
    once_a_minute = replace(world.timing, observe_every_s=60, observe_settled_every_s=60)
    for number in range(5):
        world.ready(f"CP-{number}")

    with only_nested_loops(world.sessions.kw["bind"]), world.sessions.begin() as session:
        claim = claim_due(session, once_a_minute, 2)

    assert len(claim.chargers) == 2


def test_an_older_observation_does_not_replace_a_newer_one(world: World) -> None:
    charger_id = world.ready()
    newer = func.now() + timedelta(seconds=60)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(observed_at=newer))

    world.ecs.crash(charger_id)
    world.observe()

    assert world.charger(charger_id).running_count == 1


def test_an_observation_that_began_before_the_command_was_applied_does_not_finish_it(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.work(charger_id)
    start = world.start(charger_id)
    describe = world.ecs.describe_services

    def stale(charger_ids):  # type: ignore[no-untyped-def]
        world.ecs.services[charger_id].desired_count = 1
        world.ecs.settle()
        views = describe(charger_ids)
        world.ecs.describe_services = describe  # type: ignore[method-assign]
        world.converge(charger_id)
        return views

    world.ecs.describe_services = stale  # type: ignore[method-assign]
    world.observe()

    assert world.status(start) == CommandStatus.APPLIED


def test_a_charger_that_does_not_come_up_in_time_has_failed_with_the_reason(world: World) -> None:
    charger_id = world.create()
    world.converge(charger_id)
    world.ecs.settle()
    world.ecs.crash(charger_id, exit_code=1)
    world.observe()
    before = world.charger(charger_id)
    world.hours_pass(charger_id)
    world.observe()

    failed = world.charger(charger_id)
    assert before.provisioning_status == "PROVISIONING"
    assert failed.provisioning_status == "FAILED"
    assert failed.error is not None
    assert failed.error["code"] == "task_exited"
    assert "exit code 1" in failed.error["message"]
    assert failed.desired_count == 0


def test_a_failed_charger_does_not_go_on_running(world: World) -> None:
    charger_id = world.create()
    world.converge(charger_id)
    world.hours_pass(charger_id)
    world.observe()
    world.ecs.settle()

    world.observe()
    world.work(charger_id)

    charger = world.charger(charger_id)
    assert charger.provisioning_status == "FAILED"
    assert world.ecs.runs(charger_id) == 0


def test_settled_chargers_are_written_with_one_statement(world: World) -> None:
    ids = [world.ready(f"CP-{number}") for number in range(5)]
    before = [world.charger(charger_id).observed_at for charger_id in ids]
    statements: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "SET observed_at" in statement:
            statements.append(statement)

    engine = world.sessions.kw["bind"]
    event.listen(engine, "before_cursor_execute", count)
    world.observe_once()
    event.remove(engine, "before_cursor_execute", count)

    after = [world.charger(charger_id).observed_at for charger_id in ids]
    assert all(new > old for new, old in zip(after, before, strict=True) if new and old)
    assert len(statements) == 1


def test_a_charger_that_was_killed_is_not_shown_as_connected(world: World) -> None:
    charger_id = world.ready()
    read_lines(world.sessions, line(charger_id, "accepted"))

    world.ecs.crash(charger_id)
    world.observe()

    assert shown_link(world.sessions, charger_id).state == "disconnected"


def test_a_charger_whose_tasks_cannot_be_listed_does_not_keep_others_from_being_observed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    chargers = [world.ready(f"CP-{number}") for number in range(3)]
    world.ecs.crash(chargers[0])
    before = world.charger(chargers[2]).observed_at

    def denied(_: str) -> None:
        raise EcsRejected(ErrorCode.ACCESS_DENIED, "ListTasks: no")

    monkeypatch.setattr(world.ecs, "last_stopped_task", denied)
    world.observe()

    assert world.charger(chargers[0]).running_count == 0
    after = world.charger(chargers[2]).observed_at
    assert before is not None
    assert after is not None
    assert after > before


def test_a_call_that_fails_skips_only_its_ten_chargers(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chargers = [world.ready(f"CP-{number}") for number in range(4)]
    before = [world.charger(charger_id).observed_at for charger_id in chargers]
    describe, failures = world.ecs.describe_services, [EcsUnavailable("DescribeServices: 500")]

    def fail_once(charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        if failures:
            raise failures.pop()
        return describe(charger_ids)

    monkeypatch.setattr("worker.observe.observe.DESCRIBE_SERVICES_LIMIT", 1)
    monkeypatch.setattr(world.ecs, "describe_services", fail_once)
    with pytest.raises(EcsUnavailable):
        world.observe()

    after = [world.charger(charger_id).observed_at for charger_id in chargers]
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 3


def test_a_run_against_an_ecs_that_hangs_ends_in_time_and_leaves_the_rest_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        world.ready(f"CP-{number}")
    calls: list[Sequence[str]] = []

    def hang(charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        calls.append(charger_ids)
        raise EcsUnavailable("DescribeServices: read timeout")

    monkeypatch.setattr("worker.observe.observe.DESCRIBE_SERVICES_LIMIT", 1)
    monkeypatch.setattr("worker.observe.observe.monotonic", iter([0.0, 0.0, 100.0]).__next__)
    monkeypatch.setattr(world.ecs, "describe_services", hang)
    with pytest.raises(EcsUnavailable):
        world.observe()

    assert len(calls) == 1
