"""Both versions: what becomes of the cable of a car that leaves."""

import pytest

from tests.simulator.talk import Talk, in_seconds, open_talk
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
STATUS_WITH_CABLE = {"OCPP1.6": "Finishing", "OCPP2.0.1": "Occupied"}


async def charge_and_leave(talk: Talk) -> None:
    await talk.start()
    talk.link.calls.clear()
    await talk.perform("Unplug")


async def reserve(talk: Talk) -> str:
    expiry = in_seconds(60)
    if talk.is_16:
        answer = await talk.call(
            "ReserveNow", connector_id=1, expiry_date=expiry, id_tag="OTHER", reservation_id=1
        )
    else:
        token = {"id_token": "OTHER", "type": "ISO14443"}
        answer = await talk.call("ReserveNow", id=1, expiry_date_time=expiry, id_token=token, evse_id=1)
    return str(answer.status)


async def unlock(talk: Talk) -> str:
    place = {"connector_id": 1} if talk.is_16 else {"evse_id": 1, "connector_id": 1}
    return str((await talk.call("UnlockConnector", **place)).status)


@VERSIONS
async def test_a_cable_that_is_not_unlocked_keeps_its_connector_until_it_is(version: str) -> None:
    """UnlockConnectorOnEVSideDisconnect (1.6, 9.1.29) and UnlockOnEVSideDisconnect (2.0.1)."""
    configuration = '{"UnlockConnectorOnEVSideDisconnect": false}'
    async with open_talk(version, configuration=configuration) as talk:
        await charge_and_leave(talk)
        await wait_until_async(lambda: not talk.connector.transaction)
        assert talk.model.status_of(1) == STATUS_WITH_CABLE[version]

        assert await reserve(talk) == "Occupied"
        assert await unlock(talk) == "Unlocked"

        await talk.status("Available")


@VERSIONS
async def test_a_cable_that_is_unlocked_frees_its_connector_at_once(version: str) -> None:
    async with open_talk(version) as talk:
        await charge_and_leave(talk)

        await talk.status("Available")


@VERSIONS
async def test_a_cable_without_a_transaction_was_never_locked(version: str) -> None:
    configuration = '{"UnlockConnectorOnEVSideDisconnect": false}'
    async with open_talk(version, configuration=configuration) as talk:
        await talk.perform("PlugIn")
        await talk.perform("Unplug")

        await talk.status("Available")
