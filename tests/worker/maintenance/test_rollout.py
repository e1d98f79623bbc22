"""New settings reach every existing charger, a few at a time, and a rollout that fails stops."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import update
from structlog.testing import capture_logs

from shared.models import Charger
from shared.queues import TaskName
from tests.support.plans import only_nested_loops
from tests.support.world import World
from tests.worker.rolling import (
    beat,
    deliver,
    deliver_all,
    new_workers,
    old_fleet,
    pass_time,
    run_round,
    running,
    spec_that_runs,
    specs,
    under_way,
)
from worker.maintenance.leftovers import remove_leftovers
from worker.maintenance.rollout import START_AFTER_S, STUCK_AFTER_S, roll_out
from worker.maintenance.sweep import _hint
from worker.observe.rollout import ROLLOUT_REASON


@pytest.fixture
def fleet(world: World) -> list[str]:
    return old_fleet(world)


def test_new_settings_reach_every_charger_and_the_old_definitions_go(world: World, fleet: list[str]) -> None:
    new = new_workers(world)

    for _ in range(3):
        run_round(world, new, fleet)
    remove_leftovers(world.sessions, new)

    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-2"}
    assert under_way(world, fleet) == []
    for charger_id in fleet:
        charger = world.charger(charger_id)
        assert world.ecs.services[charger_id].network == "spec-2"
        assert (charger.spec_hash, charger.generation, charger.running_count) == ("spec-2", 1, 1)
        assert (charger.reason, charger.drifted_at, charger.leftovers_at) == (None, None, None)
        assert len(world.ecs.definitions[charger_id]) == 1


def test_chargers_of_which_the_settings_are_not_known_get_the_fleets(world: World) -> None:
    """As after an upgrade to the first version that records specs. A charger that has the spec already keeps its task."""
    charger_id = world.ready()
    [task] = world.ecs.services[charger_id].tasks
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(spec_hash=None))
    ecs = new_workers(world, "spec-1")

    run_round(world, ecs, [charger_id])

    charger = world.charger(charger_id)
    assert (charger.spec_hash, charger.rollout_hash, charger.reason) == ("spec-1", None, None)
    assert world.ecs.services[charger_id].tasks == [task]
    assert task.status == "RUNNING"


def test_a_client_sees_why_its_charger_restarts(world: World, fleet: list[str]) -> None:
    new = new_workers(world)

    beat(world, new)
    [first, *_] = under_way(world, fleet)
    begun = world.charger(first)
    deliver(world, new, first)
    world.ecs.crash(first, exit_code=0, reason="Scaling activity initiated by (deployment ecs-svc/1)")
    world.observe_once()
    starting = world.charger(first)
    world.ecs.settle()
    world.observe()

    assert begun.reason == ROLLOUT_REASON
    assert _hint(begun)[0] == TaskName.ROLL_OUT
    assert (starting.provisioning_status, starting.running_count, starting.reason) == (
        "READY",
        0,
        ROLLOUT_REASON,
    )
    assert world.charger(first).reason is None


def test_a_rollout_never_has_more_under_way_than_run_with_the_new_settings(
    world: World, fleet: list[str]
) -> None:
    new = new_workers(world)

    begun = [beat(world, new) for _ in range(2)]
    deliver_all(world, new, under_way(world, fleet))
    before_they_last = [world.observe_once(), beat(world, new)]
    world.a_while_passes()
    world.observe_once()

    assert begun == [3, 0]
    assert before_they_last == [0, 0]
    assert beat(world, new) == 2


def test_a_rollout_begins_as_carefully_whatever_plan_the_database_chooses(
    world: World, fleet: list[str]
) -> None:
    """A subquery with LIMIT and FOR UPDATE that is executed again skips what it has just taken, and takes the next rows."""
    new = new_workers(world)

    with only_nested_loops(world.sessions.kw["bind"]):
        begun = beat(world, new)

    assert begun == len(under_way(world, fleet)) == 3


def test_settings_with_which_nothing_comes_up_stop_by_themselves(world: World, fleet: list[str]) -> None:
    bad = new_workers(world)
    beat(world, bad)
    hit = under_way(world, fleet)
    deliver_all(world, bad, hit)
    for charger_id in hit:
        world.ecs.crash(charger_id, reason="CannotPullContainerError: no such image")
    world.observe_once()
    pass_time(world, STUCK_AFTER_S)

    with capture_logs() as logs:
        begun = [beat(world, bad) for _ in range(3)]

    assert begun == [0, 0, 0]
    assert len(hit) == 3
    [paused] = [line for line in logs if line["event"] == "rollout.paused"]
    assert (paused["log_level"], paused["not_settled"]) == ("warning", 3)
    assert "cannot be pulled" in paused["reason"]
    assert specs(world, [each for each in fleet if each not in hit]) == {"spec-1"}


def test_the_next_settings_begin_with_those_that_do_not_come_up(world: World, fleet: list[str]) -> None:
    bad = new_workers(world)
    beat(world, bad)
    hit = under_way(world, fleet)
    deliver_all(world, bad, hit)
    for charger_id in hit:
        world.ecs.crash(charger_id)
    world.observe_once()
    good = new_workers(world, "spec-3")

    with capture_logs():
        beat(world, good)
        first = under_way(world, fleet)
        for _ in range(3):
            run_round(world, good, fleet)

    assert first == hit
    assert {spec_that_runs(world, charger_id) for charger_id in fleet} == {"spec-3"}


def test_it_goes_on_by_itself_when_they_come_up_after_all(world: World, fleet: list[str]) -> None:
    new = new_workers(world)
    beat(world, new)
    hit = under_way(world, fleet)
    deliver_all(world, new, hit)
    for charger_id in hit:
        world.ecs.crash(charger_id)
    world.observe_once()
    pass_time(world, STUCK_AFTER_S)
    beat(world, new)

    world.ecs.settle()
    world.observe()
    with capture_logs() as logs:
        begun = beat(world, new)

    assert begun == 2
    assert "rollout.resumed" in [line["event"] for line in logs]


def test_the_rate_holds_over_workers_that_beat_at_once(world: World) -> None:
    roll_out(world.sessions, "spec-1", 0)
    running(world, 4)
    new = new_workers(world)

    def beat_often() -> int:
        return sum(beat(world, new, per_minute=1) for _ in range(5))

    with ThreadPoolExecutor(4) as threads:
        in_the_first_minute = sum(threads.map(lambda _: beat_often(), range(4)))
        pass_time(world, 60)
        in_the_next = sum(threads.map(lambda _: beat_often(), range(4)))

    assert (in_the_first_minute, in_the_next) == (1, 1)


def test_a_pause_of_the_workers_saves_up_no_rate(world: World, fleet: list[str]) -> None:
    new = new_workers(world)
    pass_time(world, 3600)

    assert [beat(world, new, per_minute=12) for _ in range(3)] == [2, 0, 0]


def test_a_rate_of_0_begins_nothing(world: World, fleet: list[str]) -> None:
    new = new_workers(world)

    assert beat(world, new, per_minute=0) == 0
    assert under_way(world, fleet) == []


def test_new_settings_wait_a_minute_before_the_first_charger(world: World, fleet: list[str]) -> None:
    new = world.ecs.with_spec("spec-2")

    assert [beat(world, new), beat(world, new)] == [0, 0]
    pass_time(world, START_AFTER_S)
    assert beat(world, new) == 3
