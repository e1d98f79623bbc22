"""Unused task definitions are deleted, whatever fails between two calls."""

from collections.abc import Mapping
from typing import Any

import pytest
from sqlalchemy import func, update

from shared.models import Charger, RemovedCharger
from shared.settings import BudgetSettings
from tests.support.embedded_ecs import Embedded, client_at
from tests.support.fake_ecs import FakeService
from tests.support.world import HOSTING, World
from worker.ecs import turns
from worker.ecs.budget import Budget, BudgetSpent
from worker.ecs.client import EcsClient, EcsUnavailable
from worker.maintenance import leftovers
from worker.maintenance.leftovers import CHECK_AFTER, remove_leftovers, remove_orphans
from worker.reconcile.converge import converge


def definitions(world: World, charger_id: str) -> list[str]:
    return [arn for arn, _ in world.ecs.definitions[charger_id]]


def test_an_update_leaves_no_definition_behind(world: World) -> None:
    charger_id = world.ready()
    world.update(charger_id, ws_url="ws://other.test/ocpp")
    while_it_is_open = remove_leftovers(world.sessions, world.ecs)
    world.work(charger_id)

    removed = remove_leftovers(world.sessions, world.ecs)

    charger = world.charger(charger_id)
    assert (while_it_is_open, removed, charger.leftovers_at) == (0, 1, None)
    assert definitions(world, charger_id) == [charger.task_definition_arn]


def test_a_new_charger_costs_no_call_for_it(world: World) -> None:
    charger_id = world.ready()

    assert world.charger(charger_id).leftovers_at is None


def test_the_definition_of_the_worker_that_comes_second_goes(world: World) -> None:
    """Two workers with different settings apply one update. The first one that records its definition wins."""
    charger_id = world.ready()
    world.update(charger_id, ws_url="ws://other.test/ocpp")
    second = world.ecs.with_spec("spec-2")
    world.ecs.afterwards.append(lambda: converge(world.sessions, second, world.timing, charger_id, HOSTING))

    world.work(charger_id)
    made = definitions(world, charger_id)
    remove_leftovers(world.sessions, world.ecs)

    charger = world.charger(charger_id)
    assert len(made) == 3
    assert charger.spec_hash == "spec-2"
    assert definitions(world, charger_id) == [charger.task_definition_arn] == [made[2]]
    assert world.ecs.services[charger_id].task_definition_arn == made[2]


def test_a_definition_that_a_worker_is_about_to_record_stays(world: World) -> None:
    charger_id = world.ready()
    world.update(charger_id, ws_url="ws://other.test/ocpp")
    world.work(charger_id)
    list_revisions = world.ecs.task_definitions

    def then_somebody_updates(charger_id: str) -> dict[str, bool]:
        world.update(charger_id, ws_url="ws://third.test/ocpp")
        world.converge(charger_id)
        return list_revisions(charger_id)

    world.ecs.task_definitions = then_somebody_updates  # type: ignore[method-assign]

    remove_leftovers(world.sessions, world.ecs)

    charger = world.charger(charger_id)
    assert len(definitions(world, charger_id)) == 3
    assert charger.leftovers_at is not None


def test_a_definition_that_comes_while_others_are_removed_is_not_missed(world: World) -> None:
    """The worker that came second registers it, and marks the charger."""
    charger_id = world.ready()
    world.update(charger_id, ws_url="ws://other.test/ocpp")
    world.work(charger_id)
    remove = world.ecs.delete_task_definitions

    def then_another_one_comes(definitions: Mapping[str, bool]) -> None:
        remove(definitions)
        with world.sessions.begin() as session:
            session.execute(update(Charger).values(leftovers_at=func.clock_timestamp()))

    world.ecs.delete_task_definitions = then_another_one_comes  # type: ignore[method-assign]

    assert remove_leftovers(world.sessions, world.ecs) == 0
    assert world.charger(charger_id).leftovers_at is not None


def remove_completely(world: World, charger_id: str) -> None:
    world.delete(charger_id)
    world.converge(charger_id)
    if not world.gone(charger_id):
        world.ecs.settle()
        world.wait_is_over(charger_id)
        world.converge(charger_id)
    assert world.gone(charger_id)


def time_passes(world: World) -> None:
    with world.sessions.begin() as session:
        session.execute(update(RemovedCharger).values(removed_at=RemovedCharger.removed_at - CHECK_AFTER))


class Killed(BaseException):
    """Stands for kill -9."""


def test_a_definition_that_a_dying_worker_makes_for_a_removed_charger_is_deleted(world: World) -> None:
    charger_id = world.create()

    def is_removed() -> None:
        remove_completely(world, charger_id)

    def dies() -> None:
        raise Killed

    world.ecs.script.append(is_removed)
    world.ecs.afterwards.append(dies)
    with pytest.raises(Killed):
        world.converge(charger_id)
    made = world.ecs.definitions[charger_id]

    too_early = remove_orphans(world.sessions, world.ecs)
    time_passes(world)
    later = remove_orphans(world.sessions, world.ecs)

    assert len(made) == 1
    assert (too_early, later) == (0, 1)
    assert charger_id not in world.ecs.definitions
    assert remove_orphans(world.sessions, world.ecs) == 0


def test_a_service_that_a_late_call_makes_for_a_removed_charger_is_deleted(world: World) -> None:
    charger_id = world.ready()
    arn = world.charger(charger_id).task_definition_arn
    remove_completely(world, charger_id)
    world.ecs.services[charger_id] = FakeService(1, arn or "")
    world.ecs.settle()
    time_passes(world)

    while_it_drains = remove_orphans(world.sessions, world.ecs)
    world.ecs.settle()
    gone = remove_orphans(world.sessions, world.ecs)

    assert (while_it_drains, gone) == (0, 1)
    assert world.ecs.runs(charger_id) == 0
    assert world.ecs.describe_services([charger_id]) == {charger_id: None}


@pytest.fixture
def three(world: World, embedded: Embedded, monkeypatch: pytest.MonkeyPatch) -> str:
    """A charger with three definitions in the embedded ECS, of which its row has the second."""
    monkeypatch.setattr(leftovers, "MAX_CHARGERS", 1)
    charger_id = world.ready()
    arns = [
        embedded.ecs.ensure_task_definition(charger_id, {"CHARGER_WS_URL": f"ws://{number}/"}, {})
        for number in range(3)
    ]
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(task_definition_arn=arns[1], leftovers_at=func.now()))
    return charger_id


def left(embedded: Embedded, charger_id: str) -> dict[str, bool]:
    return embedded.ecs.task_definitions(charger_id)


@pytest.mark.parametrize(
    "error", [BudgetSpent(1), EcsUnavailable("no answer")], ids=["budget", "unavailable"]
)
def test_whatever_call_fails_the_next_time_goes_on(
    world: World, embedded: Embedded, three: str, error: Exception
) -> None:
    calls = 0
    fails_at = 0

    def fail(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise error

    ecs: EcsClient = client_at(embedded.process.endpoint_url, embedded.ecs._settings)
    ecs._ecs.meta.events.register("before-send.ecs", fail)
    for fails_at in (1, 2, 3, 4, 4):  # both lists, both deregistrations, the deletion
        calls = 0
        try:
            remove_leftovers(world.sessions, ecs)
        except EcsUnavailable:
            assert isinstance(error, EcsUnavailable)
        assert calls == fails_at
        assert world.charger(three).leftovers_at is not None
    fails_at = 0
    remove_leftovers(world.sessions, ecs)

    charger = world.charger(three)
    assert left(embedded, three) == {charger.task_definition_arn: True}
    assert charger.leftovers_at is None


def test_it_takes_what_commands_leave_of_the_budget(
    world: World, embedded: Embedded, three: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "RESERVED_SHARE", 0.5)
    settings = BudgetSettings(redis_url="", share=1, quotas={"definition_changes": "0.001/2"})
    ecs = client_at(embedded.process.endpoint_url, embedded.ecs._settings, Budget(settings))

    removed = remove_leftovers(world.sessions, ecs)

    assert removed == 0
    assert sorted(left(embedded, three).values()) == [False, True, True]
    assert world.charger(three).leftovers_at is not None
