"""OCPP 2.0.1: transactions and meter values."""

import json
from itertools import pairwise

import pytest

from simulator.clock import parse_time
from tests.simulator.talk import TOKEN, Talk
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


def triggers(talk: Talk) -> list[tuple[str, str]]:
    return [
        (payload["event_type"], payload["trigger_reason"]) for payload in talk.link.all("TransactionEvent")
    ]


async def test_a_requested_start_charges_until_the_requested_stop(talk: Talk) -> None:
    started = await talk.start()

    assert started["transaction_info"]["remote_start_id"] == 7
    assert started["id_token"] == TOKEN
    assert started["evse"] == {"id": 1, "connector_id": 1}
    assert (await talk.event("Updated", "ChargingStateChanged"))["transaction_info"][
        "charging_state"
    ] == "Charging"
    await talk.status("Occupied")
    assert await talk.request_stop() == "Accepted"
    ended = await talk.event("Ended")
    assert (ended["trigger_reason"], ended["transaction_info"]["stopped_reason"]) == ("RemoteStop", "Remote")
    contexts = [reading["sampled_value"][0]["context"] for reading in ended["meter_value"]]
    assert contexts == ["Transaction.Begin", "Transaction.End"]
    numbers = [payload["seq_no"] for payload in talk.link.all("TransactionEvent")]
    assert numbers == list(range(len(numbers)))
    assert (
        len({payload["transaction_info"]["transaction_id"] for payload in talk.link.all("TransactionEvent")})
        == 1
    )
    await talk.perform("Unplug")
    await talk.status("Available")


def starts_at(point: str) -> pytest.MarkDecorator:
    return pytest.mark.charger(configuration=json.dumps({"TxCtrlr.TxStartPoint": point}))


@pytest.mark.parametrize(
    "expected",
    [
        pytest.param([("Started", "CablePluggedIn")], marks=starts_at("PowerPathClosed")),
        pytest.param(
            [("Started", "RemoteStart"), ("Updated", "CablePluggedIn")], marks=starts_at("Authorized")
        ),
    ],
)
async def test_a_transaction_starts_at_the_configured_point(
    talk: Talk, expected: list[tuple[str, str]]
) -> None:
    await talk.start()
    await talk.event("Updated", "ChargingStateChanged")

    assert triggers(talk) == [*expected, ("Updated", "ChargingStateChanged")]


@pytest.mark.charger(
    configuration='{"TxCtrlr.TxStartPoint": "EVConnected", "TxCtrlr.TxStopPoint": "EVConnected"}'
)
async def test_a_transaction_can_last_from_plug_to_unplug(talk: Talk) -> None:
    await talk.perform("PlugIn")
    started = await talk.event("Started", "CablePluggedIn")
    assert started["transaction_info"]["charging_state"] == "EVConnected"
    assert "id_token" not in started

    answer = await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=8)
    assert answer.transaction_id == started["transaction_info"]["transaction_id"]
    assert (await talk.event("Updated", "RemoteStart"))["id_token"] == TOKEN
    await talk.event("Updated", "ChargingStateChanged")
    assert await talk.request_stop() == "Accepted"
    assert (await talk.event("Updated", "RemoteStop"))["transaction_info"]["charging_state"] == "EVConnected"
    assert talk.connector.power_w == 0
    await talk.perform("Unplug")

    ended = await talk.event("Ended", "EVCommunicationLost")
    assert ended["transaction_info"]["stopped_reason"] == "EVDisconnected"


@pytest.mark.charger(
    configuration='{"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.EVConnectionTimeOut": 1}',
    ev_plug_in_s="never",
)
async def test_a_transaction_without_a_car_times_out(talk: Talk) -> None:
    await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=8)

    ended = await talk.event("Ended", "EVConnectTimeout")

    assert ended["transaction_info"]["stopped_reason"] == "Timeout"


async def test_a_shown_token_is_authorized_starts_and_ends_its_transaction(talk: Talk) -> None:
    await talk.perform("PlugIn")
    await talk.perform("PresentToken", '{"idToken": "CARD", "type": "ISO15693"}')
    assert (await talk.link.next("Authorize"))["id_token"] == {"id_token": "CARD", "type": "ISO15693"}
    assert (await talk.event("Started", "Authorized"))["id_token"]["id_token"] == "CARD"

    await talk.perform("PresentToken", '{"idToken": "CARD"}')

    ended = await talk.event("Ended", "StopAuthorized")
    assert (ended["transaction_info"]["stopped_reason"], ended["id_token"]["id_token"]) == ("Local", "CARD")


async def test_a_token_that_the_csms_refuses_ends_its_transaction(talk: Talk) -> None:
    talk.csms.answers["TransactionEvent"] = lambda payload: (
        {"id_token_info": {"status": "Blocked"}} if payload["event_type"] == "Started" else {}
    )

    await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)

    ended = await talk.event("Ended", "Deauthorized")
    assert ended["transaction_info"]["stopped_reason"] == "DeAuthorized"


@pytest.mark.charger(configuration='{"AuthCtrlr.AuthorizeRemoteStart": "true"}')
async def test_a_requested_start_is_authorized_first_where_that_is_configured(talk: Talk) -> None:
    talk.csms.answers["Authorize"] = {"id_token_info": {"status": "Expired"}}

    assert (
        await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)
    ).status == "Accepted"

    await talk.link.next("Authorize")
    await wait_until_async(lambda: not talk.connector.claimed)
    assert talk.link.all("TransactionEvent") == []


async def test_requests_for_unknown_evses_and_transactions_are_rejected(talk: Talk) -> None:
    start: Payload = {"id_token": TOKEN, "remote_start_id": 7}

    assert (await talk.call("RequestStartTransaction", evse_id=3, **start)).status == "Rejected"
    assert (await talk.call("RequestStopTransaction", transaction_id="none")).status == "Rejected"
    status = await talk.call("GetTransactionStatus", transaction_id="none")
    assert (status.ongoing_indicator, status.messages_in_queue) == (False, False)


async def test_the_status_of_a_transaction_is_reported(talk: Talk) -> None:
    started = await talk.start()
    transaction_id = started["transaction_info"]["transaction_id"]
    await talk.event("Updated")

    status = await talk.call("GetTransactionStatus", transaction_id=transaction_id)

    assert status.ongoing_indicator is True
    assert (await talk.call("GetTransactionStatus")).messages_in_queue is False


@pytest.mark.charger(max_power_w=3_600_000, ev_energy_wh=100, ev_unplug_s=0.05, meter_start_wh=0)
async def test_a_car_that_is_full_stops_drawing_and_leaves(talk: Talk) -> None:
    await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)

    full = await talk.link.next(
        "TransactionEvent", lambda payload: payload["transaction_info"].get("charging_state") == "SuspendedEV"
    )
    ended = await talk.event("Ended")

    assert full["trigger_reason"] == "ChargingStateChanged"
    assert ended["meter_value"][-1]["sampled_value"][0]["value"] == 100


@pytest.mark.charger(
    connector_type="CCS2",
    max_power_w=150_000,
    configuration='{"SampledDataCtrlr.TxUpdatedInterval": 1, "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import,Current.Import,Voltage,SoC"}',
)
async def test_meter_values_follow_the_power_and_the_interval(talk: Talk) -> None:
    await talk.start()
    await talk.perform("SetPower", '{"powerW": 40000}')
    await talk.event("Updated", "ChargingRateChanged")

    reported = [await talk.event("Updated", "MeterValuePeriodic") for _ in range(2)]

    values = {v["measurand"]: v["value"] for v in reported[0]["meter_value"][0]["sampled_value"]}
    assert values["Power.Active.Import"] == 40_000
    assert values["Current.Import"] == 100
    assert values["Voltage"] == 400
    assert 60 < values["SoC"] < 75
    earlier, later = (parse_time(payload["timestamp"]) for payload in reported)
    assert later - earlier == pytest.approx(1, abs=0.3)


@pytest.mark.charger(configuration='{"AlignedDataCtrlr.Interval": 1}')
async def test_clock_aligned_values_come_with_and_without_a_transaction(talk: Talk) -> None:
    assert (await talk.link.next("MeterValues"))["evse_id"] == 1
    await talk.start()

    reported = await talk.event("Updated", "MeterValueClock")

    assert reported["meter_value"][0]["sampled_value"][0]["context"] == "Sample.Clock"


async def test_events_of_a_transaction_are_in_order(talk: Talk) -> None:
    await talk.start()
    for power_w in (1_000, 2_000, 3_000):
        await talk.perform("SetPower", f'{{"powerW": {power_w}}}')
    await talk.request_stop()
    await talk.event("Ended")

    reported = talk.link.all("TransactionEvent")

    assert all(later["seq_no"] == earlier["seq_no"] + 1 for earlier, later in pairwise(reported))
    assert all(earlier["timestamp"] <= later["timestamp"] for earlier, later in pairwise(reported))
