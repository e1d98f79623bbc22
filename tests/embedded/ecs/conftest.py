"""One embedded ECS for all tests here; each test names its own services."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded.ecs.process import EcsProcess, running_ecs
from tests.embedded.ecs.support import QUICK, TASK_COMMAND, Fleet


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


@pytest.fixture
def own_process(tmp_path: Path) -> Iterator[EcsProcess]:
    """An embedded ECS for tests that end it."""
    with running_ecs(tmp_path / "ecs", task_command=TASK_COMMAND, arguments=QUICK) as process:
        yield process
