"""One line per change of state, and each names the charger, the command, the generation and the request."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared.error_codes import ErrorCode
from shared.vocabulary import EventType
from tests.support.fake_ecs import fail_once
from tests.support.world import World
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsRejected
from worker.reconcile.failure import RETRY_MAX_S

NAMED = {"charger_id", "command_id", "generation", "event_type", "request_id"}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_every_change_of_a_chargers_life_has_a_line_that_names_its_request(
    world: World, lines: list[Any]
) -> None:
    charger_id = world.ready()
    for request in (world.stop, world.start, world.restart):
        request(charger_id)
        world.work(charger_id)
    world.delete(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.wait_is_over(charger_id)
    world.converge(charger_id)

    assert [(line["event"], line["event_type"]) for line in lines] == [
        ("command.applied", EventType.CREATE_CHARGER),
        ("command.succeeded", EventType.CREATE_CHARGER),
        ("command.applied", EventType.STOP_CHARGER),
        ("command.succeeded", EventType.STOP_CHARGER),
        ("command.applied", EventType.START_CHARGER),
        ("command.succeeded", EventType.START_CHARGER),
        ("command.applied", EventType.RESET_CHARGER),
        ("command.succeeded", EventType.RESET_CHARGER),
        ("charger.removed", EventType.DELETE_CHARGER),
    ]
    assert all(set(line) >= NAMED for line in lines)
    assert [line["request_id"] for line in lines[2:4]] == [f"request of {EventType.STOP_CHARGER}"] * 2


def trouble(world: World) -> None:
    """ECS does not answer, the budget has no turn, ECS rejects; somebody else changes the service."""

    def spent() -> None:
        raise BudgetSpent(RETRY_MAX_S)

    def refused() -> None:
        raise EcsRejected(ErrorCode.ACCESS_DENIED, "no")

    charger_id = world.ready()
    world.stop(charger_id)
    world.ecs.script += [fail_once(), spent, spent, refused]
    for _ in range(4):
        world.converge(charger_id)
        world.wait_is_over(charger_id)
    world.observe()
    world.work(charger_id)


def test_trouble_has_one_line_for_each_change(world: World, lines: list[Any]) -> None:
    trouble(world)

    assert [(line["event"], line.get("code")) for line in lines[2:]] == [
        ("command.delayed", "runtime_provider_error"),
        ("command.delayed", "waiting_for_rate_budget"),
        ("command.failed", "provider_access_denied"),
        ("charger.drifted", None),
        ("charger.repaired", None),
    ]
    assert all(set(line) >= NAMED for line in lines)


@pytest.mark.parametrize("request_command", [World.stop, World.restart])
def test_a_command_that_fails_at_its_deadline_has_a_line(
    world: World, lines: list[Any], request_command: Callable[[World, str], object]
) -> None:
    charger_id = world.ready()
    request_command(world, charger_id)
    world.converge(charger_id)
    world.hours_pass(charger_id)
    if request_command is World.restart:
        world.ecs.crash(charger_id)

    world.observe()

    assert lines[-1]["event"] == "command.failed"
    assert set(lines[-1]) >= NAMED | {"code", "error"}
