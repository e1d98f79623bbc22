"""READY and succeeded mean that the charger's process keeps running, not that it was started."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import structlog
from sqlalchemy import delete

from embedded.ecs.process import running_ecs
from shared.models import Charger
from shared.settings import EcsSettings
from shared.vocabulary import CommandStatus
from tests.support.embedded_ecs import QUICK, client_at
from tests.support.world import HOSTING, World
from worker.ecs.client import EcsClient
from worker.observe.observe import observe
from worker.reconcile.converge import converge


def start(world: World, charger_id: str) -> None:
    world.stop(charger_id)
    world.work(charger_id)
    world.start(charger_id)


#: The requests to a running charger after which a task must run.
REQUESTS: dict[str, Callable[[World, str], object]] = {
    "restart": lambda world, charger_id: world.restart(charger_id),
    "update": lambda world, charger_id: world.update(charger_id, ws_url="ws://other.test/ocpp"),
    "start": start,
}


def observe_tasks_that_end_at_once(world: World, charger_id: str) -> None:
    """Each observation finds a running task, which ends before the next observation."""
    for _ in range(5):
        world.ecs.settle()
        assert world.ecs.runs(charger_id) == 1
        world.observe_once()
        world.a_while_passes()
        world.ecs.crash(charger_id, exit_code=2)


def test_a_new_charger_whose_process_ends_at_once_is_never_ready(world: World) -> None:
    charger_id = world.create()
    world.converge(charger_id)

    observe_tasks_that_end_at_once(world, charger_id)

    assert world.charger(charger_id).provisioning_status == "PROVISIONING"
    assert world.open_commands() == 1


@pytest.mark.parametrize("request_name", REQUESTS)
def test_no_command_succeeds_while_the_process_ends_at_once(world: World, request_name: str) -> None:
    charger_id = world.ready()
    REQUESTS[request_name](world, charger_id)
    world.converge(charger_id)
    world.ecs.settle()
    world.ecs.crash(charger_id)

    observe_tasks_that_end_at_once(world, charger_id)

    assert world.open_commands() == 1


@pytest.mark.parametrize("request_name", REQUESTS)
def test_a_command_succeeds_when_the_same_task_is_seen_running_again(world: World, request_name: str) -> None:
    charger_id = world.ready()
    REQUESTS[request_name](world, charger_id)
    world.converge(charger_id)
    world.ecs.settle()

    world.observe_once()
    after_one_observation = world.open_commands()
    world.observe_once()
    too_early = world.open_commands()
    world.a_while_passes()
    world.observe_once()

    assert (after_one_observation, too_early, world.open_commands()) == (1, 1, 0)


def test_a_start_of_a_charger_that_runs_succeeds_too(world: World) -> None:
    charger_id = world.ready()
    accepted = world.start(charger_id)

    world.work(charger_id)

    assert world.status(accepted) == CommandStatus.SUCCEEDED


def test_a_task_of_an_older_definition_does_not_count(world: World) -> None:
    """DescribeServices may count it while ListTasks does not name its successor yet."""
    charger_id = world.ready()
    world.update(charger_id, ws_url="ws://other.test/ocpp")
    world.converge(charger_id)
    service = world.ecs.services[charger_id]
    service.tasks[-1].task_definition_arn, older = service.task_definition_arn, service.tasks[-1]
    describe = world.ecs.describe_tasks
    older_arn = world.ecs.definitions[charger_id][0][0]

    def of_the_older(arns: list[str]) -> object:
        views = describe(arns)
        return {arn: replace(view, task_definition_arn=older_arn) for arn, view in views.items()}

    world.ecs.describe_tasks = of_the_older  # type: ignore[method-assign, assignment]
    world.observe()

    assert older.status == "RUNNING"
    assert world.open_commands() == 1


@pytest.fixture(scope="module")
def ecs_of_short_lives(
    tmp_path_factory: pytest.TempPathFactory, ecs_settings: EcsSettings
) -> Iterator[EcsClient]:
    """An embedded ECS whose processes all end with exit code 2, 0.3 s after their start."""
    command = ("sh", "-c", "sleep 0.3; exit 2")
    folder: Path = tmp_path_factory.mktemp("short-lives")
    with running_ecs(folder, task_command=command, arguments=QUICK) as process:
        yield client_at(process.endpoint_url, replace(ecs_settings, read_timeout_s=5))


@pytest.mark.parametrize("rounds", [1, pytest.param(5, marks=pytest.mark.slow)])
def test_of_many_chargers_that_end_after_a_moment_none_is_ready(
    world: World, ecs_of_short_lives: EcsClient, rounds: int
) -> None:
    """Twenty a round, observed without a pause, so that as many processes as possible are found running."""
    timing = replace(world.timing, settle_s=1)
    statuses: list[str] = []
    for each in range(rounds):
        chargers = [world.create(f"CP-{each}-{number}") for number in range(20)]
        seen_running: set[str] = set()
        deadline = time.monotonic() + 30
        with structlog.testing.capture_logs(), ThreadPoolExecutor(4) as pool:
            list(
                pool.map(
                    partial(converge, world.sessions, ecs_of_short_lives, timing, hosting=HOSTING), chargers
                )
            )
            while len(seen_running) < 10:
                assert time.monotonic() < deadline
                observe(world.sessions, ecs_of_short_lives, timing)
                rows = [world.charger(charger_id) for charger_id in chargers]
                seen_running |= {row.id for row in rows if row.running_count}
        assert world.open_commands() == 20
        with world.sessions.begin() as session:
            statuses += session.scalars(delete(Charger).returning(Charger.provisioning_status)).all()

    assert statuses == ["PROVISIONING"] * 20 * rounds
