"""Chargers of both versions: with a CSMS (`talk`), and without a connection (`charger`)."""

from collections.abc import AsyncIterator

import pytest

from tests.simulator.unconnected import Unconnected, unconnected


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
def version(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def charger(version: str) -> AsyncIterator[Unconnected]:
    with unconnected(version, meter_start_wh=0) as charger:
        yield charger
