"""One embedded ECS for all tests here, and one per file for tests that end it. Each test names its own services."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded.ecs.process import EcsProcess, running_ecs
from tests.support.ecs_services import QUICK, TASK_COMMAND, Fleet


@pytest.fixture(scope="session")
def ecs_process() -> Iterator[EcsProcess]:
    with (
        TemporaryDirectory(prefix="chargehand-ecs-") as folder,
        running_ecs(Path(folder), task_command=TASK_COMMAND, arguments=QUICK) as process,
    ):
        yield process


@pytest.fixture
def fleet(ecs_process: EcsProcess) -> Iterator[Fleet]:
    fleet = Fleet(ecs_process)
    yield fleet
    ecs_process.set_faults()
    fleet.delete_all()


@pytest.fixture(scope="module")
def restarted_process() -> Iterator[EcsProcess]:
    with (
        TemporaryDirectory(prefix="chargehand-ecs-") as folder,
        running_ecs(Path(folder, "ecs"), task_command=TASK_COMMAND, arguments=QUICK) as process,
    ):
        yield process


@pytest.fixture
def own_process(restarted_process: EcsProcess) -> EcsProcess:
    """A running ECS for a test that may end it."""
    if not restarted_process.is_running:
        restarted_process.start()
    return restarted_process
