"""A restart ends one task and starts another: never two at once, and once per command."""

from sqlalchemy import update

from shared.models import Charger
from shared.vocabulary import CommandStatus
from tests.support.fake_ecs import fail_once
from tests.support.world import World


def stops(world: World) -> list[str]:
    return [target for operation, target in world.ecs.mutations if operation == "StopTask"]


def test_a_restart_succeeds_when_the_old_task_is_gone_and_another_runs(world: World) -> None:
    charger_id = world.ready()
    old = world.ecs.current_task(charger_id)
    restart = world.restart(charger_id)

    world.converge(charger_id)
    world.observe()
    between = world.status(restart)
    world.ecs.settle()
    world.observe()

    assert between == CommandStatus.APPLIED
    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert world.ecs.current_task(charger_id) != old
    assert stops(world) == [old]


def test_a_restart_waits_for_the_end_of_the_old_process_though_the_new_one_runs(world: World) -> None:
    """ECS starts a successor as soon as a task begins to stop, which takes its container up to 30 s."""
    charger_id = world.ready()
    restart = world.restart(charger_id)
    world.converge(charger_id)
    old = world.ecs.services[charger_id].tasks[0]
    world.ecs.settle()
    old.status = "STOPPING"

    world.observe()
    world.observe()
    meanwhile = world.status(restart), world.ecs.runs(charger_id)
    old.status = "STOPPED"
    world.observe()

    assert meanwhile == (CommandStatus.APPLIED, 1)
    assert world.status(restart) == CommandStatus.SUCCEEDED


def test_a_lost_answer_does_not_restart_twice(world: World) -> None:
    charger_id = world.ready()
    old = world.ecs.current_task(charger_id)
    restart = world.restart(charger_id)
    world.ecs.afterwards += [lambda: None, fail_once("the answer of StopTask is lost")]

    world.converge(charger_id)
    world.ecs.settle()  # the successor runs already
    successor = world.ecs.current_task(charger_id)
    world.wait_is_over(charger_id)
    world.work(charger_id)

    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert world.ecs.current_task(charger_id) == successor
    assert set(stops(world)) == {old}


def test_two_workers_at_once_stop_the_same_task(world: World) -> None:
    charger_id = world.ready()
    old = world.ecs.current_task(charger_id)
    world.restart(charger_id)
    world.ecs.script.append(lambda: world.converge(charger_id))

    world.work(charger_id)

    assert set(stops(world)) == {old}
    assert world.ecs.runs(charger_id) == 1


def test_a_worker_that_is_late_stops_the_recorded_task_and_not_its_successor(world: World) -> None:
    charger_id = world.ready()
    old = world.ecs.current_task(charger_id)
    world.restart(charger_id)
    with world.sessions.begin() as session:
        session.execute(update(Charger).values(running_task_arn=None))  # nobody has seen the task yet
    current_task = world.ecs.current_task

    def answer_late(charger_id: str) -> str | None:
        world.ecs.current_task = current_task  # type: ignore[method-assign]
        world.converge(charger_id)  # another worker restarts it meanwhile
        world.ecs.settle()
        return current_task(charger_id)

    world.ecs.current_task = answer_late  # type: ignore[method-assign]
    world.converge(charger_id)

    assert set(stops(world)) == {old}
    assert world.ecs.runs(charger_id) == 1


def test_a_restart_of_a_stopped_charger_starts_it(world: World) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    world.work(charger_id)
    restart = world.restart(charger_id)

    world.work(charger_id)

    assert world.status(restart) == CommandStatus.SUCCEEDED
    assert world.ecs.runs(charger_id) == 1
    assert stops(world) == []


def test_a_second_restart_ends_the_successor(world: World) -> None:
    charger_id = world.ready()
    ended = []
    for _ in range(2):
        ended.append(world.ecs.current_task(charger_id))
        world.restart(charger_id)
        world.work(charger_id)

    assert stops(world) == ended
    assert len(set(ended)) == 2


def test_a_stop_after_a_restart_supersedes_it(world: World) -> None:
    charger_id = world.ready()
    restart = world.restart(charger_id)
    stop = world.stop(charger_id)

    world.work(charger_id)

    assert world.status(restart) == CommandStatus.SUPERSEDED
    assert world.status(stop) == CommandStatus.SUCCEEDED
    assert stops(world) == []
    assert world.ecs.runs(charger_id) == 0
