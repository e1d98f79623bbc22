"""One line per change of state, and each names the charger, the command, the generation and the request."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog

from shared.error_codes import ErrorCode
from shared.vocabulary import EventType
from tests.worker.conftest import World
from tests.worker.fake_ecs import fail_once
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsRejected
from worker.reconcile.record import RETRY_MAX_S

NAMED = {"charger_id", "command_id", "generation", "event_type", "request_id"}


@pytest.fixture
def lines() -> Iterator[list[Any]]:
    with structlog.testing.capture_logs() as lines:
        yield lines


def test_a_life_is_told_in_lines_that_name_their_request(world: World, lines: list[Any]) -> None:
    charger_id = world.ready()
    for ask in (world.stop, world.start, world.restart):
        ask(charger_id)
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
    """ECS does not answer, has no turn to give, refuses; somebody else changes the service."""

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


def test_trouble_is_told_once_for_each_change(world: World, lines: list[Any]) -> None:
    trouble(world)

    assert [(line["event"], line.get("code")) for line in lines[2:]] == [
        ("command.delayed", "runtime_provider_error"),
        ("command.delayed", "waiting_for_rate_budget"),
        ("command.failed", "provider_access_denied"),
        ("charger.drifted", None),
        ("charger.repaired", None),
    ]
    assert all(set(line) >= NAMED for line in lines)


@pytest.mark.parametrize("ask", [World.stop, World.restart])
def test_a_command_that_is_too_late_is_told(
    world: World, lines: list[Any], ask: Callable[[World, str], object]
) -> None:
    charger_id = world.ready()
    ask(world, charger_id)
    world.converge(charger_id)
    world.asked_long_ago(charger_id)
    if ask is World.restart:
        world.ecs.crash(charger_id)

    world.observe()

    assert lines[-1]["event"] == "command.failed"
    assert set(lines[-1]) >= NAMED | {"code", "error"}
