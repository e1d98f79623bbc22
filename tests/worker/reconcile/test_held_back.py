"""A command that the rate budget holds back is only late: no deadline runs, and nothing is left out."""

import time
from uuid import uuid4

import pytest

from shared.settings import BudgetSettings
from shared.vocabulary import CommandStatus
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.fake_ecs import fail_once
from tests.support.world import World
from worker.ecs import turns
from worker.ecs.budget import Budget, BudgetSpent, on_behalf_of


def spent() -> None:
    raise BudgetSpent(12.2)


def test_a_command_that_waits_for_its_turn_says_so_and_has_not_failed(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.script.append(spent)
    world.converge(charger_id)
    world.observe()
    waiting, command = world.charger(charger_id), world.command(stop)
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert (waiting.reason_code, waiting.attempts) == ("waiting_for_rate_budget", 0)
    assert waiting.reason == command.reason == "Waiting for the ECS rate budget, about 12 s"
    assert (command.status, command.attempts) == (CommandStatus.QUEUED, 0)
    assert waiting.not_before is not None
    assert waiting.observed_at is not None
    assert 11 < (waiting.not_before - waiting.observed_at).total_seconds() < 13
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert world.command(stop).reason is None
    assert world.charger(charger_id).reason is None


def test_no_deadline_runs_while_the_budget_holds_a_new_charger_back(world: World) -> None:
    charger_id = world.create()
    for _ in range(3):
        world.ecs.script.append(spent)
        world.converge(charger_id)
        world.hours_pass(charger_id)
        world.wait_is_over(charger_id)
    held_back = world.charger(charger_id)

    world.converge(charger_id)
    world.observe_once()
    coming_up = world.charger(charger_id)
    world.ecs.settle()
    world.observe()

    assert (held_back.provisioning_status, held_back.reason_code) == (
        "PROVISIONING",
        "waiting_for_rate_budget",
    )
    assert held_back.reason is not None
    assert "rate budget, about 12 s" in held_back.reason
    assert coming_up.provisioning_status == "PROVISIONING"
    assert world.charger(charger_id).provisioning_status == "READY"


def test_the_deadline_runs_again_after_the_budget_let_a_command_pass(world: World) -> None:
    charger_id = world.ready()
    stop = world.stop(charger_id)
    world.ecs.script += [spent, fail_once(), fail_once()]
    world.converge(charger_id)
    world.hours_pass(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)
    after_the_hold = world.status(stop)

    world.hours_pass(charger_id)
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert after_the_hold == CommandStatus.QUEUED
    assert world.status(stop) == CommandStatus.FAILED


def test_task_definitions_leave_nothing_behind_when_the_budget_runs_out_between_two_calls(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "MAX_SLEEP_S", 0.0)
    settings = BudgetSettings(redis_url="", share=1, quotas={"definition_changes": "5/2"})
    ecs = client_at(embedded.process.endpoint_url, embedded.ecs._settings, Budget(settings))
    charger_id = f"dep-{uuid4().hex[:12]}"
    for number in range(3):
        embedded.ecs.ensure_task_definition(charger_id, {"CHARGER_WS_URL": f"ws://{number}/"}, {})
    held_back = 0
    while True:
        try:
            with on_behalf_of(charger_id, "org"):
                ecs.delete_task_definitions(ecs.task_definitions(charger_id))
            break
        except BudgetSpent:
            held_back += 1
            time.sleep(2 / 5)  # two turns: the last is deregistered, and all three are deleted

    left = [
        embedded.ecs._ecs.list_task_definitions(familyPrefix=charger_id, status=status)["taskDefinitionArns"]
        for status in ("ACTIVE", "INACTIVE")
    ]
    assert held_back > 0
    assert left == [[], []]
