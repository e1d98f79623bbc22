"""The rows, a fake ECS and an embedded one, with short methods for what clients, workers and time do."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from sqlalchemy import Engine

from embedded.ecs.process import EcsProcess, running_ecs
from shared.database.engine import Sessions
from shared.settings import EcsSettings, Settings
from shared.startup.environment import load_settings
from tests.support.ecs_services import clients
from tests.support.embedded_ecs import QUICK, TASK_COMMAND, Embedded, client_at, on_fargate
from tests.support.environment import environment
from tests.support.fake_ecs import FakeEcs
from tests.support.world import World
from worker.ecs.client import EcsClient


@pytest.fixture
def world(sessions: Sessions, settings: Settings) -> World:
    timing = replace(settings.timing, observe_every_s=0, observe_settled_every_s=0, settle_s=60)
    return World(sessions, FakeEcs(), timing)


@pytest.fixture(scope="session")
def ecs_process() -> Iterator[EcsProcess]:
    with (
        TemporaryDirectory(prefix="chargehand-ecs-") as folder,
        running_ecs(Path(folder), task_command=TASK_COMMAND, arguments=QUICK) as process,
    ):
        # The first call takes a busy machine longer than the read time-out of `ecs_client`.
        clients(process.endpoint_url)[0].list_task_definitions()
        yield process


@pytest.fixture(scope="session")
def ecs_settings(engine: Engine, redis_url: str) -> EcsSettings:
    """The settings of a real account."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(engine.url.render_as_string(hide_password=False), redis_url).items():
            patch.setenv(name, value)
        return on_fargate(load_settings().ecs)


@pytest.fixture(scope="session")
def ecs_client(ecs_process: EcsProcess, ecs_settings: EcsSettings) -> EcsClient:
    return client_at(ecs_process.endpoint_url, ecs_settings)


@pytest.fixture
def embedded(ecs_process: EcsProcess, ecs_client: EcsClient) -> Iterator[Embedded]:
    """The embedded ECS, without faults before and after the test."""
    yield Embedded(ecs_client, ecs_process)
    ecs_process.set_faults()
