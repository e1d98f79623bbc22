"""Clients send commands and workers die in the middle of a rollout."""

from collections.abc import Sequence

import pytest
from sqlalchemy import update

from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.fake_ecs import fail_once
from tests.support.world import World
from tests.worker.rolling import (
    beat,
    deliver,
    new_workers,
    old_fleet,
    run_round,
    spec_that_runs,
    specs,
    under_way,
)
from worker.ecs.client import ServiceView
from worker.maintenance.leftovers import remove_leftovers


@pytest.fixture
def fleet(world: World) -> list[str]:
    return old_fleet(world)


def test_a_stopped_charger_gets_the_new_definition_and_stays_stopped(world: World, fleet: list[str]) -> None:
    for charger_id in fleet:
        world.stop(charger_id)
        world.converge(charger_id)
    world.ecs.settle()
    world.observe()
    new = new_workers(world)

    for _ in range(2):
        run_round(world, new, fleet)
    stopped = [world.ecs.runs(charger_id) for charger_id in fleet]
    world.start(fleet[0])
    deliver(world, world.ecs, fleet[0])  # a worker with the old settings
    world.ecs.settle()

    assert stopped == [0] * 5
    assert specs(world, fleet) == {"spec-2"}
    assert spec_that_runs(world, fleet[0]) == "spec-2"


@pytest.mark.parametrize("what", ["start", "stop", "restart", "update", "delete"])
@pytest.mark.parametrize("when", ["begun", "registered", "updated"])
def test_a_command_in_the_middle_of_a_rollout_counts(
    world: World, fleet: list[str], what: str, when: str
) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    receipts = []

    def request() -> None:
        if what == "update":
            receipts.append(world.update(first, ws_url="ws://other.test/ocpp"))
        else:
            receipts.append(getattr(world, what)(first))

    match when:
        case "begun":
            request()
        case "registered":
            world.ecs.afterwards.append(request)
        case _:
            world.ecs.afterwards += [lambda: None, request]
    deliver(world, new, first)
    for _ in range(3):
        if world.gone(first):
            break
        world.ecs.settle()
        world.observe()
        world.wait_is_over(first)
        run_round(world, new, [each for each in fleet if not world.gone(each)])
        if not world.gone(first):
            deliver(world, new, first)

    if what == "delete":
        assert world.gone(first)
        assert world.ecs.services[first].status == "INACTIVE"
        assert first not in world.ecs.definitions
        return
    charger = world.charger(first)
    assert world.status(receipts[0]) == CommandStatus.SUCCEEDED
    assert (charger.spec_hash, charger.rollout_hash, charger.drifted_at) == ("spec-2", None, None)
    assert specs(world, [first]) == {"spec-2"}
    assert world.ecs.runs(first) == (0 if what == "stop" else 1)
    environment = world.ecs.definitions[first][-1][1]
    assert environment["CHARGER_WS_URL"] == (
        "ws://other.test/ocpp" if what == "update" else "ws://csms.test/ocpp"
    )


class Killed(BaseException):
    """Stands for kill -9."""


def kill() -> None:
    raise Killed


@pytest.mark.parametrize("calls_before", [0, 1])
@pytest.mark.parametrize("answered", [False, True])
def test_a_worker_that_dies_on_the_way_costs_nothing_but_time(
    world: World, fleet: list[str], calls_before: int, answered: bool
) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    hooks = world.ecs.afterwards if answered else world.ecs.script
    hooks += [lambda: None] * calls_before + [kill]

    with pytest.raises(Killed):
        deliver(world, new, first)
    assert world.charger(first).publish_at is not None
    for _ in range(3):
        run_round(world, new, fleet)
    remove_leftovers(world.sessions, new)

    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-2"}
    assert under_way(world, fleet) == []
    assert [len(world.ecs.definitions[charger_id]) for charger_id in fleet] == [1] * 5
    tasks = world.ecs.services[first].tasks
    assert len(tasks) == 2  # the old one and the new one


def test_a_rollout_that_ecs_does_not_take_at_once_is_tried_again(world: World, fleet: list[str]) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    world.ecs.script += [lambda: None, fail_once()]

    deliver(world, new, first)
    delayed = world.charger(first)
    world.wait_is_over(first)
    deliver(world, new, first)

    assert delayed.not_before is not None
    assert delayed.publish_at is not None
    assert specs(world, [first]) == {"spec-2"}


def test_a_mark_that_a_worker_of_an_earlier_version_took_away_is_made_again(
    world: World, fleet: list[str]
) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    with world.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == first).values(drifted_at=None, publish_at=None))

    beat(world, new)
    deliver(world, new, first)

    assert specs(world, [first]) == {"spec-2"}


def test_an_observation_from_before_the_redeploy_does_not_end_the_rollout(
    world: World, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    describe = world.ecs.describe_services

    def then_it_is_redeployed(charger_ids: Sequence[str]) -> dict[str, ServiceView | None]:
        views = describe(charger_ids)
        deliver(world, new, first)
        return views

    with monkeypatch.context() as patch:
        patch.setattr(world.ecs, "describe_services", then_it_is_redeployed)
        world.observe_once()

    charger = world.charger(first)
    assert (charger.rollout_hash, charger.drifted_at) == ("spec-2", None)


def test_an_answer_from_before_the_redeploy_is_no_drift(
    world: World, fleet: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    new = new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    before = world.ecs.describe_services(fleet)
    deliver(world, new, first)

    with monkeypatch.context() as patch:
        patch.setattr(world.ecs, "describe_services", lambda _: before)
        world.observe_once()

    assert world.charger(first).drifted_at is None
