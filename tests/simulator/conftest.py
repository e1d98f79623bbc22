"""Coroutine tests run in asyncio. `talk` is a conversation with a charger of the fixture `version`."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.talk import Talk, open_talk


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def talk(request: pytest.FixtureRequest, version: str) -> AsyncIterator[Talk]:
    """The marker `charger` sets the charger's environment: `charger(connectors=1)` for CHARGER_CONNECTORS=1."""
    marker = request.node.get_closest_marker("charger")
    async with open_talk(version, **(marker.kwargs if marker else {})) as talk:
        yield talk
