"""Only the log of the task that runs can make a charger accepted. No clocks are compared."""

import pytest
from sqlalchemy import func, select, update

from shared.fleet.links import ACCEPTED
from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.links import line, read_lines
from tests.support.world import World
from worker.ecs.budget import BudgetSpent


def running_task(world: World, charger_id: str) -> str:
    arn = world.ecs.current_task(charger_id)
    assert arn is not None
    return arn.rpartition("/")[2]


def log_accepted(world: World, charger_id: str, task: str) -> None:
    """Write what the log reader writes for a line in that task's log."""
    read_lines(world.sessions, line(charger_id, "accepted", task=task))


def is_accepted(world: World, charger_id: str) -> bool:
    with world.sessions() as session:
        return session.scalars(select(ACCEPTED).where(Charger.id == charger_id)).one()


def test_a_new_charger_is_accepted_when_it_runs_and_its_log_says_so(world: World) -> None:
    charger_id = world.create()
    world.converge(charger_id)
    world.ecs.settle()
    log_accepted(world, charger_id, running_task(world, charger_id))
    before = is_accepted(world, charger_id)

    world.observe()

    assert (before, is_accepted(world, charger_id)) == (False, True)


def test_after_a_restart_the_log_of_the_task_that_ended_does_not_count(world: World) -> None:
    charger_id = world.ready()
    old = running_task(world, charger_id)
    log_accepted(world, charger_id, old)
    restart = world.restart(charger_id)
    unsettled = is_accepted(world, charger_id)

    world.work(charger_id)
    by_the_old = is_accepted(world, charger_id)
    log_accepted(world, charger_id, running_task(world, charger_id))

    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert running_task(world, charger_id) != old
    assert (unsettled, by_the_old, is_accepted(world, charger_id)) == (False, False, True)


@pytest.mark.parametrize("change", ["stop and start", "update"])
def test_the_log_of_a_task_that_ended_between_two_observations_does_not_count(
    world: World, change: str
) -> None:
    """The task was killed: its log still ends with `accepted`, and no observation saw that nothing ran."""
    charger_id = world.ready()
    old = running_task(world, charger_id)
    if change == "update":
        world.update(charger_id, ws_url="ws://other.test/ocpp")
    else:
        world.stop(charger_id)
        world.converge(charger_id)
        world.ecs.settle()
        world.start(charger_id)
    log_accepted(world, charger_id, old)

    world.work(charger_id)
    by_the_old = is_accepted(world, charger_id)
    log_accepted(world, charger_id, running_task(world, charger_id))

    assert world.charger(charger_id).running_count == 1
    assert (by_the_old, is_accepted(world, charger_id)) == (False, True)


def test_a_start_of_a_charger_that_runs_leaves_its_link_as_it_is(world: World) -> None:
    charger_id = world.ready()
    log_accepted(world, charger_id, running_task(world, charger_id))

    world.start(charger_id)
    world.work(charger_id)

    assert is_accepted(world, charger_id)


def test_the_successor_of_a_task_that_crashed_is_found_out(world: World) -> None:
    charger_id = world.ready()
    world.restart(charger_id)
    world.work(charger_id)
    crashed = running_task(world, charger_id)
    read_lines(world.sessions, line(charger_id, "rejected", task=crashed))

    world.ecs.crash(charger_id)
    world.ecs.settle()
    log_accepted(world, charger_id, running_task(world, charger_id))
    unknown = is_accepted(world, charger_id)
    world.observe()

    assert running_task(world, charger_id) != crashed
    assert (unknown, is_accepted(world, charger_id)) == (False, True)


def test_a_command_succeeds_although_the_budget_has_no_turn_to_find_the_task_that_runs(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.ready()
    log_accepted(world, charger_id, running_task(world, charger_id))
    start = world.start(charger_id)

    with monkeypatch.context() as patch:
        patch.setattr(world.ecs, "describe_tasks", _no_turn)
        world.work(charger_id)
    unknown = is_accepted(world, charger_id)
    world.observe()

    assert world.status(start) == CommandStatus.SUCCEEDED
    assert (unknown, is_accepted(world, charger_id)) == (False, True)


def test_the_task_of_an_earlier_generation_does_not_count_while_the_newest_is_not_known(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = world.ready()
    world.restart(charger_id)
    world.work(charger_id)
    log_accepted(world, charger_id, running_task(world, charger_id))
    before = is_accepted(world, charger_id)

    world.stop(charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    start = world.start(charger_id)
    with monkeypatch.context() as held_back:
        held_back.setattr(world.ecs, "describe_tasks", _no_turn)
        world.work(charger_id)
    unknown = (world.status(start), is_accepted(world, charger_id))
    world.observe()
    world.observe()

    assert before
    assert unknown == (CommandStatus.APPLIED, False)
    assert world.status(start) == CommandStatus.SUCCEEDED
    assert not is_accepted(world, charger_id)


def test_a_charger_is_not_accepted_before_its_create_is_final(world: World) -> None:
    charger_id = world.ready()
    log_accepted(world, charger_id, running_task(world, charger_id))
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(settled_generation=0, observe_at=func.now()))

    assert not is_accepted(world, charger_id)


def _no_turn(arns: list[str]) -> None:
    if arns:
        raise BudgetSpent(1)
