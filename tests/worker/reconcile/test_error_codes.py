"""Each code of shared/error_codes.py can come about, is explained in docs/errors.md, and no other is ever stored."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError

from shared.error_codes import RETRYABLE, ErrorCode
from shared.models import Base, Charger, Command
from tests.support.fake_ecs import Action, fail_once
from tests.support.world import World
from worker.ecs.budget import BudgetSpent
from worker.ecs.client import EcsRejected
from worker.reconcile.converge import record_internal_error

DOCUMENT = Path(__file__).parents[3] / "docs" / "errors.md"


def spend() -> None:
    raise BudgetSpent(60)


def refuse(code: ErrorCode) -> Action:
    def refuse() -> None:
        raise EcsRejected(code, "UpdateService: no")

    return refuse


def in_the_call(action: Action) -> Callable[[World], str]:
    """ECS, or the budget, does this when a charger is to be stopped."""

    def produce(world: World) -> str:
        charger_id = world.ready()
        world.stop(charger_id)
        world.ecs.script.append(action)
        world.converge(charger_id)
        return charger_id

    return produce


def in_the_service(*, stopped: str = "", event: str = "", gave_up: str = "") -> Callable[[World], str]:
    """The service of a charger that should run says this."""

    def produce(world: World) -> str:
        charger_id = world.ready()
        service = world.ecs.services[charger_id]
        world.ecs.crash(charger_id, reason=stopped)
        service.event, service.rollout_failure = event or None, gave_up or None
        world.observe()
        return charger_id

    return produce


def too_late(world: World) -> str:
    charger_id = world.create()
    world.converge(charger_id)
    world.hours_pass(charger_id)
    world.observe_once()
    return charger_id


def stop_too_late(world: World) -> str:
    charger_id = world.ready()
    world.stop(charger_id)
    world.converge(charger_id)
    world.hours_pass(charger_id)
    world.observe_once()
    return charger_id


def our_own_fault(world: World) -> str:
    charger_id = world.ready()
    world.stop(charger_id)
    record_internal_error(world.sessions, world.timing, charger_id, ZeroDivisionError())
    return charger_id


PRODUCERS: dict[ErrorCode, Callable[[World], str]] = {
    ErrorCode.PROVIDER_UNAVAILABLE: in_the_call(fail_once()),
    ErrorCode.RATE_BUDGET: in_the_call(spend),
    ErrorCode.PROVIDER_REJECTED: in_the_call(refuse(ErrorCode.PROVIDER_REJECTED)),
    ErrorCode.ACCESS_DENIED: in_the_call(refuse(ErrorCode.ACCESS_DENIED)),
    ErrorCode.PROVISIONING_TIMEOUT: too_late,
    ErrorCode.RUNTIME_TIMEOUT: stop_too_late,
    ErrorCode.IMAGE_UNAVAILABLE: in_the_service(stopped="CannotPullContainerError: not found"),
    ErrorCode.NO_CAPACITY: in_the_service(event="was unable to place a task."),
    ErrorCode.QUOTA_EXCEEDED: in_the_service(event="You've reached the limit on the number of vCPUs"),
    ErrorCode.TASK_EXITED: in_the_service(stopped="Essential container in task exited"),
    ErrorCode.DEPLOYMENT_FAILED: in_the_service(gave_up="tasks failed to start"),
    ErrorCode.UNKNOWN: our_own_fault,
}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_can_come_about(world: World, code: ErrorCode) -> None:
    charger_id = PRODUCERS[code](world)

    assert world.charger(charger_id).reason_code == code


def test_the_document_lists_exactly_the_codes_and_whether_they_are_retryable() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (yes|no) \| .{20,} \| .{10,} \|$", DOCUMENT.read_text(), re.MULTILINE)

    assert {code: answer == "yes" for code, answer in rows} == {
        code.value: retryable for code, retryable in RETRYABLE.items()
    }
    assert len(rows) == len(ErrorCode)


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        (Charger, "reason_code", "made_up"),
        (Charger, "error", {"code": "made_up"}),
        (Command, "error", {"code": "made_up"}),
    ],
)
def test_the_database_takes_no_other_code(
    world: World, table: type[Base], column: str, value: object
) -> None:
    world.create()

    with pytest.raises(IntegrityError, match="code"), world.sessions.begin() as session:
        session.execute(update(table).values({column: value}))


def test_the_migrations_check_the_codes_of_the_models(world: World) -> None:
    """Alembic does not compare check constraints."""
    constraints = text("SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'")
    with world.sessions() as session:
        stored = {name: set(re.findall(r"'(\w+)'", rule)) for name, rule in session.execute(constraints)}

    for name in ("chargers_reason_code", "chargers_error_code", "commands_error_code"):
        assert stored[name] - {"code"} == set(ErrorCode)
