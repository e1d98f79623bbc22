"""Availability: each level keeps its own state, and what follows from them."""

import json
from pathlib import Path

import pytest

from simulator.versions import VERSIONS
from tests.simulator.charger import LocalCharger
from tests.simulator.station.both import (
    change_availability,
    request_start,
    request_stop,
    reserve,
    show,
    stopped,
)
from tests.simulator.talk import Talk
from tests.support.csms import call201
from tests.support.waiting import wait_until_async


async def test_a_charger_in_operation_again_gives_its_connectors_their_own_state_back(talk: Talk) -> None:
    """2.0.1, G03 and G04; in OCPP 1.6 connector 0 is the charger."""
    await change_availability(talk, 2, "Inoperative")
    await change_availability(talk, 0, "Inoperative")
    await talk.status("Unavailable", connector_id=1)
    assert await change_availability(talk, 2, "Operative") == "Accepted"
    assert await change_availability(talk, 2, "Inoperative") == "Accepted"

    assert await change_availability(talk, 0, "Operative") == "Accepted"

    await talk.status("Available", connector_id=1)
    assert await request_start(talk, "TAG", 2) == "Rejected"
    assert await change_availability(talk, 2, "Operative") == "Accepted"
    await talk.status("Available", connector_id=2)


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_an_evse_in_operation_again_gives_its_connector_its_own_state_back(talk: Talk) -> None:
    async def change(status: str, **evse: int) -> None:
        answer = await talk.call("ChangeAvailability", operational_status=status, evse={"id": 1, **evse})
        assert answer.status == "Accepted"

    await change("Inoperative", connector_id=1)
    await change("Inoperative")
    await change("Operative")
    assert await request_start(talk, "TAG", 1) == "Rejected"

    await change("Operative", connector_id=1)

    assert await request_start(talk, "TAG", 1) == "Accepted"


@pytest.mark.parametrize("version", ["OCPP1.6"])
async def test_a_charger_is_available_though_each_of_its_connectors_is_not(talk: Talk) -> None:
    await change_availability(talk, 1, "Inoperative")
    await change_availability(talk, 2, "Inoperative")
    await talk.status("Unavailable", connector_id=2)

    assert talk.model.status_of(0) == "Available"
    await change_availability(talk, 0, "Inoperative")
    await talk.status("Unavailable", connector_id=0)


async def test_a_scheduled_state_can_be_taken_back(talk: Talk) -> None:
    await talk.start()
    assert await change_availability(talk, 0, "Inoperative") == "Scheduled"

    assert await change_availability(talk, 0, "Operative") == "Accepted"

    await request_stop(talk)
    await talk.perform("Unplug")
    await talk.status("Available", connector_id=1)


@pytest.mark.charger(ev_plug_in_s="never")
async def test_a_driver_who_waits_at_a_connector_out_of_operation_is_not_expected_any_more(
    talk: Talk,
) -> None:
    """A token was accepted, and no car came yet."""
    await show(talk, "TAG")
    await wait_until_async(lambda: talk.connector.token is not None)

    await change_availability(talk, 1, "Inoperative")
    await change_availability(talk, 1, "Operative")
    await talk.perform("PlugIn")

    assert talk.connector.token is None
    assert talk.connector.transaction is None
    assert await show(talk, "TAG") == "Accepted"
    await wait_until_async(lambda: talk.connector.transaction is not None)


@pytest.mark.parametrize("version", VERSIONS)
async def test_each_state_of_availability_survives_a_restart(version: str, tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"

    def build() -> LocalCharger:
        return LocalCharger("ws://localhost:1", version, connectors=2, state_file=state_file)

    first = build().model
    availability = first.station.availability
    availability.set_operative(first.station.connectors, "station", False)
    availability.set_operative(first.station.connectors[1:], "EVSE", False)
    availability.await_reset()
    first.memory.save(clean=True)

    second = build().model.station
    assert [connector.operative for connector in second.connectors] == [False, False]
    second.availability.set_operative(second.connectors, "station", True)
    assert [connector.operative for connector in second.connectors] == [True, False]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_availability_of_an_older_state_file_is_read(version: str, tmp_path: Path) -> None:
    """It has one flag per connector."""
    state_file = tmp_path / "state.json"
    LocalCharger("ws://localhost:1", version, connectors=2, state_file=state_file).model.memory.save()
    state = json.loads(state_file.read_text())
    for connector, operative in zip(state["connectors"], (True, False), strict=True):
        del connector["inoperative"]
        connector["operative"] = operative
    state_file.write_text(json.dumps(state))

    charger = LocalCharger("ws://localhost:1", version, connectors=2, state_file=state_file)

    assert [connector.operative for connector in charger.model.station.connectors] == [True, False]
    assert charger.remarks() == []


@pytest.mark.charger(reboot_s=0.02)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_nothing_new_starts_before_a_scheduled_reset(talk: Talk) -> None:
    """B12: idle EVSEs become Unavailable, and after the reset they are what they were."""
    await talk.start()
    assert await reserve(talk, 5, 2, "MINE") == "Accepted"

    assert (await talk.call("Reset", type="OnIdle")).status == "Scheduled"

    await talk.status("Unavailable", connector_id=2)
    assert await request_start(talk, "MINE", 2) == "Rejected"
    assert await change_availability(talk, 2, "Operative") == "Accepted"
    assert await request_start(talk, "MINE") == "Rejected"
    await request_stop(talk)
    again = await talk.csms.accepted(2)
    assert (await again.next("BootNotification"))["reason"] == "ScheduledReset"
    start = call201.RequestStartTransaction(
        id_token={"id_token": "MINE", "type": "ISO14443"}, remote_start_id=2, evse_id=2
    )
    assert (await again.call(start)).status == "Accepted"
    started = await again.next("TransactionEvent", lambda payload: payload["event_type"] == "Started")
    assert started["reservation_id"] == 5


@pytest.mark.charger(reboot_s=0.02)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_an_immediate_reset_replaces_a_scheduled_one(talk: Talk) -> None:
    await talk.start()
    assert (await talk.call("Reset", type="OnIdle")).status == "Scheduled"

    assert (await talk.call("Reset", type="Immediate")).status == "Accepted"

    again = await talk.csms.accepted(2)
    assert (await again.next("BootNotification"))["reason"] == "RemoteReset"
    await again.call(call201.ChangeAvailability(operational_status="Operative"))
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))
    assert not talk.model.wants_reboot


@pytest.mark.charger(reboot_s=0.2)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
@pytest.mark.parametrize("kind", ["Immediate", "OnIdle"])
async def test_a_single_evse_is_reset_and_the_others_go_on(talk: Talk, kind: str) -> None:
    """B11 and B12 with an evseId: Unavailable meanwhile; OnIdle waits for the transaction of that EVSE."""
    await talk.start()
    await request_start(talk, "OTHER", 2)
    await wait_until_async(lambda: talk.model.station.connectors[1].transaction is not None)

    answer = await talk.call("Reset", type=kind, evse_id=1)

    assert answer.status == ("Accepted" if kind == "Immediate" else "Scheduled")
    if kind == "OnIdle":
        assert talk.connector.transaction is not None
        await request_stop(talk)
    assert (await stopped(talk))["reason"] == ("ImmediateReset" if kind == "Immediate" else "Remote")
    await talk.status("Unavailable")
    assert not talk.connector.is_usable
    await wait_until_async(lambda: talk.connector.is_usable)
    assert await request_start(talk, "TAG", 1) == "Accepted"
    assert talk.model.station.connectors[1].transaction is not None
    assert len(talk.csms.links) == 1
