"""Workers of different settings at the same time, as in a rolling deployment, do not undo each other's changes."""

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
    nobody_has,
    old_fleet,
    run_round,
    spec_that_runs,
    under_way,
)


@pytest.fixture
def fleet(world: World) -> list[str]:
    return old_fleet(world)


def test_workers_that_still_have_the_old_settings_undo_nothing(world: World, fleet: list[str]) -> None:
    old, new = world.ecs, new_workers(world)
    run_round(world, new, fleet)

    begun = []
    for _ in range(5):
        begun.append(beat(world, old))
        for charger_id in fleet:
            deliver(world, old, charger_id)
        run_round(world, new, fleet)

    assert begun == [0] * 5
    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-2"}
    assert all(world.ecs.mutations.count(("UpdateService", charger_id)) == 1 for charger_id in fleet)


def test_a_worker_with_the_old_settings_leaves_a_rollout_to_the_new_ones(
    world: World, fleet: list[str]
) -> None:
    old, new = world.ecs, new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    before = len(world.ecs.mutations)

    deliver(world, old, first)
    left = world.charger(first)
    deliver(world, new, first)

    assert world.ecs.mutations[before:] == [("RegisterTaskDefinition", first), ("UpdateService", first)]
    assert left.publish_at is not None
    assert world.charger(first).spec_hash == "spec-2"


def test_a_command_that_an_old_worker_carries_out_does_not_end_the_rollout(
    world: World, fleet: list[str]
) -> None:
    old, new = world.ecs, new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    stop = world.stop(first)

    deliver(world, old, first)
    stopped = world.ecs.services[first].desired_count
    world.ecs.settle()
    world.observe()
    status = world.status(stop)
    run_round(world, new, fleet)

    assert (stopped, status) == (0, CommandStatus.SUCCEEDED)
    charger = world.charger(first)
    assert (charger.spec_hash, charger.rollout_hash, charger.running_count) == ("spec-2", None, 0)
    assert world.ecs.services[first].desired_count == 0


def test_the_network_is_changed_too_though_the_new_worker_died_and_an_old_one_came_next(
    world: World, fleet: list[str]
) -> None:
    old, new = world.ecs, new_workers(world)
    beat(world, new)
    [first, *_] = under_way(world, fleet)
    world.ecs.script += [lambda: None, fail_once()]
    deliver(world, new, first)  # it registers the definition, and does not update the service
    world.stop(first)

    deliver(world, old, first)
    before = world.ecs.services[first].network
    for _ in range(2):
        world.ecs.settle()
        world.observe()
        run_round(world, new, fleet)

    assert (before, world.ecs.services[first].network) == ("spec-1", "spec-2")
    assert world.charger(first).rollout_hash is None


def test_an_update_that_a_worker_of_the_version_before_carries_out_gets_its_turn(
    world: World, fleet: list[str]
) -> None:
    """That version does not write `spec_hash`, the spec of a definition."""
    new = new_workers(world)
    for _ in range(3):
        run_round(world, new, fleet)
    world.update(fleet[0], ws_url="ws://other.test/ocpp")
    deliver(world, new, fleet[0])
    by_the_new = world.charger(fleet[0]).spec_hash
    recorded = {"task_definition_arn": "arn:task-definition/old:3", "task_definition_generation": 3}

    with world.sessions.begin() as session:
        session.execute(update(Charger).where(Charger.id == fleet[0]).values(recorded))

    assert (by_the_new, world.charger(fleet[0]).spec_hash) == ("spec-2", None)


def test_the_settings_that_are_left_win_when_the_new_ones_are_taken_back(
    world: World, fleet: list[str]
) -> None:
    old, new = world.ecs, new_workers(world)
    run_round(world, new, fleet)
    on_new = [charger_id for charger_id in fleet if world.charger(charger_id).spec_hash == "spec-2"]
    beat(world, new)  # some are in progress, and no worker is left that could redeploy them
    nobody_has(world, "spec-2")

    for _ in range(3):
        run_round(world, old, fleet)

    assert len(on_new) == 3
    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-1"}
    assert under_way(world, fleet) == []
    assert all(world.charger(charger_id).drifted_at is None for charger_id in fleet)


def test_settings_that_come_back_are_rolled_out_again(world: World, fleet: list[str]) -> None:
    new = new_workers(world)
    for _ in range(3):
        run_round(world, new, fleet)
    nobody_has(world, "spec-1")

    old = new_workers(world, "spec-1")
    for _ in range(3):
        run_round(world, old, fleet)

    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-1"}
