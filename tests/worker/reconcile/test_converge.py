"""Anything may happen twice, late, out of order or not at all, and the fleet ends at the newest request."""

import pytest
from sqlalchemy import func, update

from shared.error_codes import ErrorCode
from shared.fleet.receipts import CommandReceipt
from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.fake_ecs import fail_once
from tests.support.world import World
from worker.ecs.client import EcsRejected, TaskDefinitionMissing
from worker.reconcile.failure import RETRY_MAX_S, retry_delay_s
from worker.reconcile.provision import Step


def reject(code: ErrorCode = ErrorCode.PROVIDER_REJECTED) -> None:
    raise EcsRejected(code, "CreateService: ClientException: no")


def test_a_new_charger_is_ready_when_its_task_runs(world: World) -> None:
    charger_id = world.create()

    world.converge(charger_id)
    on_its_way = world.charger(charger_id)
    world.ecs.settle()
    world.observe()

    assert (on_its_way.provisioning_status, on_its_way.step) == ("PROVISIONING", Step.WAIT_UNTIL_RUNNING)
    ready = world.charger(charger_id)
    assert (ready.provisioning_status, ready.step, ready.running_count) == ("READY", None, 1)
    assert ready.provisioned_at is not None
    assert world.open_commands() == 0


def test_a_stop_succeeds_when_nothing_runs_any_more(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)

    world.converge(charger_id)
    world.observe()
    before = world.status(stop)
    world.ecs.settle()
    world.observe()

    assert before == CommandStatus.APPLIED
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert world.ecs.runs(charger_id) == 0


def test_a_message_that_comes_twice_costs_one_call(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    calls = len(world.ecs.mutations)

    for _ in range(5):
        world.converge(charger_id)

    assert len(world.ecs.mutations) == calls + 1


def test_a_command_that_comes_during_the_call_gets_another_round(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    start_during_the_call: list[CommandReceipt] = []
    world.ecs.afterwards.append(lambda: start_during_the_call.append(world.start(charger_id)))
    world.work(charger_id)

    assert world.status(stop) == CommandStatus.SUPERSEDED
    assert world.status(start_during_the_call[0]) == CommandStatus.SUCCEEDED
    assert world.ecs.services[charger_id].desired_count == 1


def test_another_worker_finishes_the_stop_while_the_start_is_still_in_its_call(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.work(charger_id)
    start = world.start(charger_id)

    def stop_overtakes() -> None:
        stops.append(world.stop(charger_id))
        world.converge(charger_id)

    stops: list[CommandReceipt] = []
    world.ecs.script.append(stop_overtakes)
    world.work(charger_id)

    assert world.ecs.services[charger_id].desired_count == 0
    assert world.status(start) == CommandStatus.SUPERSEDED
    assert world.status(stops[0]) == CommandStatus.SUCCEEDED


def test_the_newest_of_many_commands_wins_with_one_call(world: World) -> None:
    charger_id = world.ready()
    calls = len(world.ecs.mutations)
    receipts = [
        world.stop(charger_id),
        world.start(charger_id),
        world.restart(charger_id),
        world.stop(charger_id),
    ]

    world.work(charger_id)

    assert [world.status(receipt) for receipt in receipts] == [CommandStatus.SUPERSEDED] * 3 + [
        CommandStatus.SUCCEEDED
    ]
    assert world.ecs.runs(charger_id) == 0
    assert len(world.ecs.mutations) == calls + 1


def test_a_call_that_fails_is_tried_again_after_a_delay(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.script.append(fail_once("UpdateService: ThrottlingException"))

    world.converge(charger_id)
    waiting = world.charger(charger_id)
    world.converge(charger_id)  # too early: nothing happens
    too_early = world.ecs.services[charger_id].desired_count
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert waiting.not_before is not None
    assert waiting.publish_at == waiting.not_before
    assert waiting.reason is not None
    assert "ThrottlingException" in waiting.reason
    assert too_early == 1
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert world.charger(charger_id).reason is None


def test_a_new_command_does_not_wait_for_the_delay_of_an_older_one(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.ecs.script.append(fail_once())
    world.converge(charger_id)

    start = world.start(charger_id)
    world.work(charger_id)

    assert world.status(start) == CommandStatus.SUCCEEDED


def test_an_older_command_is_closed_though_ecs_does_not_take_the_newer_one(world: World) -> None:
    charger_id = world.ready()
    stop, start = world.stop(charger_id), world.start(charger_id)
    world.ecs.script.append(fail_once())

    world.converge(charger_id)

    assert world.status(stop) == CommandStatus.SUPERSEDED
    assert world.status(start) == CommandStatus.QUEUED


def test_an_answer_that_is_lost_after_the_change_does_no_harm(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.afterwards.append(fail_once("no answer"))

    world.converge(charger_id)
    before = world.status(stop)
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert before == CommandStatus.QUEUED
    assert world.status(stop) == CommandStatus.SUCCEEDED


def test_a_command_that_ecs_rejects_fails_at_once_and_says_why(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.script.append(lambda: reject(ErrorCode.ACCESS_DENIED))

    world.converge(charger_id)

    command = world.command(stop)
    assert command.status == CommandStatus.FAILED
    assert command.error is not None
    assert command.error["code"] == "provider_access_denied"
    assert command.error["retryable"] is False
    assert world.charger(charger_id).provisioning_status == "READY"


def test_a_command_that_ecs_rejected_is_applied_when_the_cause_goes_away(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.ecs.script.append(reject)
    world.converge(charger_id)

    assert world.observe() == 1  # it differs from its row
    world.work(charger_id)

    assert world.ecs.runs(charger_id) == 0


def test_a_charger_that_ecs_rejects_has_failed_and_is_off(world: World) -> None:
    charger_id = world.create()
    world.ecs.script += [lambda: None, reject]

    world.converge(charger_id)
    world.ecs.settle()
    world.observe()

    charger = world.charger(charger_id)
    assert charger.provisioning_status == "FAILED"
    assert charger.error is not None
    assert (charger.error["step"], charger.error["code"]) == ("create_service", "invalid_configuration")
    assert charger.desired_count == 0
    assert charger.drifted_at is None


def test_a_command_fails_at_its_deadline_and_not_before(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.script += [fail_once(), fail_once()]

    world.converge(charger_id)
    before = world.status(stop)
    world.hours_pass(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert before == CommandStatus.QUEUED
    assert world.status(stop) == CommandStatus.FAILED
    error = world.command(stop).error
    assert error is not None
    assert (error["code"], error["retryable"]) == ("runtime_provider_error", True)


def test_provisioning_goes_on_where_a_crash_left_it(world: World) -> None:
    charger_id = world.create()

    def crash() -> None:
        raise KeyboardInterrupt

    world.ecs.afterwards.append(crash)
    with pytest.raises(KeyboardInterrupt):
        world.converge(charger_id)
    interrupted = world.charger(charger_id)
    world.work(charger_id)

    assert (interrupted.step, interrupted.task_definition_arn) == ("register_task_definition", None)
    assert world.charger(charger_id).provisioning_status == "READY"
    assert len(world.ecs.definitions[charger_id]) == 1


def test_a_changed_url_means_another_task_with_it(world: World) -> None:
    charger_id = world.ready()
    update = world.update(charger_id, ws_url="ws://other.test/")

    world.work(charger_id)

    assert world.status(update) == CommandStatus.SUCCEEDED
    _, environment = world.ecs.definitions[charger_id][-1]
    assert environment["CHARGER_WS_URL"] == "ws://other.test/"
    assert world.ecs.runs(charger_id) == 1


def test_a_task_definition_that_somebody_removed_is_registered_again(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)

    def missing() -> None:
        raise TaskDefinitionMissing(ErrorCode.PROVIDER_REJECTED, "UpdateService: TaskDefinition is inactive")

    world.ecs.script.append(missing)
    world.converge(charger_id)
    world.ecs.definitions.clear()
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert len(world.ecs.definitions[charger_id]) == 1


def test_a_charger_waits_until_its_deleted_namesake_is_gone(world: World) -> None:
    old = world.ready("CP-1")
    world.delete(old)
    new = world.create("CP-1")

    world.converge(new)
    waiting = world.charger(new)
    world.converge(old)
    world.ecs.settle()
    world.wait_is_over(old)
    world.converge(old)
    world.wait_is_over(new)
    world.work(new)

    assert waiting.step == Step.WAIT_FOR_PREDECESSOR
    assert new in world.ecs.services
    assert world.charger(new).provisioning_status == "READY"


def test_a_rollout_to_other_settings_is_left_to_the_workers_that_have_them(world: World) -> None:
    charger_id = world.ready()
    calls = len(world.ecs.mutations)
    with world.sessions.begin() as session:
        session.execute(
            update(Charger).values(rollout_hash="another spec", drifted_at=func.now(), publish_at=func.now())
        )

    world.converge(charger_id)

    charger = world.charger(charger_id)
    assert len(world.ecs.mutations) == calls
    assert charger.publish_at is not None
    assert charger.drifted_at is not None


def test_retries_grow_are_spread_and_stay_bounded() -> None:
    delays = [retry_delay_s(attempts) for attempts in range(1, 30)]

    assert max(delays) <= RETRY_MAX_S
    assert min(delays[10:]) >= RETRY_MAX_S / 2
    assert delays[0] < 1.01
    assert len(set(delays[10:])) > 1
