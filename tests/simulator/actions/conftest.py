"""Chargers without a connection."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.unconnected import Unconnected, unconnected


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
async def charger(request: pytest.FixtureRequest) -> AsyncIterator[Unconnected]:
    with unconnected(request.param) as charger:
        yield charger


@pytest.fixture
async def charger_201() -> AsyncIterator[Unconnected]:
    with unconnected("OCPP2.0.1") as charger:
        yield charger
