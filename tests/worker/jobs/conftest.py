import pytest

from tests.support.world import World
from tests.worker.jobs.jobs import Jobs


@pytest.fixture
def jobs(world: World) -> Jobs:
    return Jobs(world)
