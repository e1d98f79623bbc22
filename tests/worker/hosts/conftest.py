"""What the tests of moves begin with."""

import pytest

from shared.vocabulary import Placement
from tests.support.world import World
from tests.worker.hosts.moving import Hosts, go_on


@pytest.fixture
def hosts(world: World) -> Hosts:
    return Hosts(world)


@pytest.fixture
def dedicated(world: World) -> str:
    return world.ready("CP-1")


@pytest.fixture
def shared(world: World, hosts: Hosts) -> str:
    charger_id = world.create("CP-1", Placement.SHARED)
    go_on(world, hosts, charger_id)
    assert world.charger(charger_id).running_count == 1
    return charger_id
