"""OCPP 1.6: transactions and meter values."""

import pytest

from simulator.clock import parse_time
from tests.simulator.talk import Talk
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


async def test_a_remote_start_plugs_the_car_in_and_charges_until_the_remote_stop(talk: Talk) -> None:
    started = await talk.start()

    assert started["id_tag"] == "TAG"
    assert started["connector_id"] == 1
    assert talk.connector.power_w == 22_000
    assert [payload["status"] for payload in talk.link.all("StatusNotification")][:1] == ["Preparing"]
    await talk.status("Charging")
    assert (await talk.call("RemoteStopTransaction", transaction_id=4711)).status == "Accepted"
    stopped = await talk.link.next("StopTransaction")
    assert (stopped["transaction_id"], stopped["reason"]) == (4711, "Remote")
    assert stopped["meter_stop"] >= started["meter_start"]
    await talk.status("Finishing")
    assert await talk.perform("Unplug") == "Accepted"
    await talk.status("Available")
    assert talk.connector.transaction is None


@pytest.mark.parametrize(
    "fields",
    [
        {"id_tag": "TAG", "connector_id": 0},
        {"id_tag": "TAG", "connector_id": 3},
        {
            "id_tag": "TAG",
            "connector_id": 2,
            "charging_profile": {
                "charging_profile_id": 1,
                "stack_level": 0,
                "charging_profile_purpose": "TxDefaultProfile",
                "charging_profile_kind": "Relative",
                "charging_schedule": {
                    "charging_rate_unit": "W",
                    "charging_schedule_period": [{"start_period": 0, "limit": 1}],
                },
            },
        },
    ],
)
async def test_an_impossible_remote_start_is_rejected(talk: Talk, fields: Payload) -> None:
    assert (await talk.call("RemoteStartTransaction", **fields)).status == "Rejected"
    assert talk.link.all("StartTransaction") == []


async def test_a_second_remote_start_takes_the_other_connector_and_a_third_is_rejected(talk: Talk) -> None:
    await talk.start()

    assert (await talk.call("RemoteStartTransaction", id_tag="TWO")).status == "Accepted"
    assert (await talk.call("RemoteStartTransaction", id_tag="THREE")).status == "Rejected"

    assert (await talk.link.next("StartTransaction"))["connector_id"] == 2
    assert (await talk.call("RemoteStopTransaction", transaction_id=1)).status == "Rejected"


@pytest.mark.charger(configuration='{"AuthorizeRemoteTxRequests": "true"}')
async def test_a_remote_start_is_authorized_first_where_that_is_configured(talk: Talk) -> None:
    talk.csms.answers["Authorize"] = {"id_tag_info": {"status": "Blocked"}}

    assert (await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Accepted"

    assert (await talk.link.next("Authorize"))["id_tag"] == "TAG"
    await talk.status("Preparing")
    await talk.status("Available")
    assert talk.link.all("StartTransaction") == []


@pytest.mark.charger(ev_plug_in_s="never", configuration='{"ConnectionTimeOut": "1"}')
async def test_an_authorization_ends_when_no_car_comes(talk: Talk) -> None:
    await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)
    await talk.status("Preparing")

    await talk.status("Available")

    assert talk.connector.token is None
    assert talk.link.all("StartTransaction") == []


async def test_a_shown_tag_is_authorized_starts_and_ends_its_transaction(talk: Talk) -> None:
    assert await talk.perform("PlugIn") == "Accepted"
    assert await talk.perform("PresentToken", '{"idToken": "CARD"}') == "Accepted"

    assert (await talk.link.next("Authorize"))["id_tag"] == "CARD"
    assert (await talk.link.next("StartTransaction"))["id_tag"] == "CARD"
    await talk.status("Charging")
    assert await talk.perform("PresentToken", '{"idToken": "ANOTHER"}') == "Rejected"
    assert await talk.perform("PresentToken", '{"idToken": "CARD"}') == "Accepted"
    stopped = await talk.link.next("StopTransaction")
    assert (stopped["reason"], stopped["id_tag"]) == ("Local", "CARD")


async def test_a_car_that_leaves_ends_its_transaction(talk: Talk) -> None:
    await talk.start()

    await talk.perform("Unplug")

    assert (await talk.link.next("StopTransaction"))["reason"] == "EVDisconnected"
    await talk.status("Available")


@pytest.mark.charger(configuration='{"StopTransactionOnEVSideDisconnect": "false"}')
async def test_a_transaction_outlives_the_cable_where_that_is_configured(talk: Talk) -> None:
    await talk.start()

    await talk.perform("Unplug")

    await talk.status("SuspendedEV")
    assert talk.connector.transaction is not None
    await talk.perform("PlugIn")
    await talk.status("Charging")


@pytest.mark.parametrize(("number", "status"), [(9, "Blocked"), (0, "ConcurrentTx")])
async def test_a_transaction_whose_tag_the_csms_refuses_is_ended(
    talk: Talk, number: int, status: str
) -> None:
    """A CSMS that refuses may answer with the number 0 (dallmann-consulting/OCPP.Core#55)."""
    talk.csms.answers["StartTransaction"] = {"transaction_id": number, "id_tag_info": {"status": status}}

    await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    stopped = await talk.link.next("StopTransaction")
    assert (stopped["transaction_id"], stopped["reason"]) == (number, "DeAuthorized")
    assert talk.connector.power_w == 0


@pytest.mark.charger(max_power_w=3_600_000, configuration='{"MaxEnergyOnInvalidId": "100"}', meter_start_wh=0)
async def test_a_refused_token_may_draw_what_is_configured(talk: Talk) -> None:
    """3.6 MW is 1 kWh per second."""
    talk.csms.answers["StartTransaction"] = {"transaction_id": 9, "id_tag_info": {"status": "Invalid"}}

    await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    stopped = await talk.link.next("StopTransaction")
    assert stopped["reason"] == "DeAuthorized"
    assert 100 <= stopped["meter_stop"] < 250


@pytest.mark.charger(max_power_w=3_600_000, ev_energy_wh=100, ev_unplug_s=0.05, meter_start_wh=0)
async def test_a_car_that_is_full_stops_drawing_and_leaves(talk: Talk) -> None:
    await talk.call("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    await talk.status("SuspendedEV")
    stopped = await talk.link.next("StopTransaction")

    assert stopped["reason"] == "EVDisconnected"
    assert stopped["meter_stop"] == 100
    await talk.status("Available")


async def test_a_car_may_stop_requesting_energy_and_request_it_again(talk: Talk) -> None:
    await talk.start()

    await talk.perform("StopEnergy")
    await talk.status("SuspendedEV")
    assert talk.connector.power_w == 0
    await talk.perform("RequestEnergy")

    await wait_until_async(lambda: talk.connector.power_w == 22_000)


@pytest.mark.charger(
    CHARGER_VISITOR_EVERY_S=0.1,
    CHARGER_VISITOR_ID_TAG="AUTOMATIC",
    max_power_w=3_600_000,
    ev_energy_wh=50,
    ev_unplug_s=0,
)
async def test_automatic_sessions_repeat_where_they_are_configured(talk: Talk) -> None:
    assert (await talk.link.next("Authorize"))["id_tag"] == "AUTOMATIC"
    await talk.link.next("StartTransaction")
    await talk.link.next("StopTransaction")
    await talk.link.next("StartTransaction")


@pytest.mark.charger(
    configuration='{"MeterValueSampleInterval": 1, "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Power.Offered,Current.Offered"}'
)
async def test_meter_values_follow_the_power_and_the_interval(talk: Talk) -> None:
    await talk.start()
    await talk.perform("SetPower", '{"powerW": 6900}')

    first = await talk.link.next("MeterValues")
    second = await talk.link.next("MeterValues")

    assert first["transaction_id"] == 4711
    values = {v["measurand"]: v["value"] for v in first["meter_value"][0]["sampled_value"]}
    assert values["Power.Active.Import"] == "6900"
    assert values["Current.Import"] == "10"
    assert values["Voltage"] == "230"
    assert values["Power.Offered"] == "22000"
    assert all(v["context"] == "Sample.Periodic" for v in first["meter_value"][0]["sampled_value"])
    moments = [parse_time(payload["meter_value"][0]["timestamp"]) for payload in (first, second)]
    assert moments[1] - moments[0] == pytest.approx(1, abs=0.3)


@pytest.mark.charger(configuration='{"ClockAlignedDataInterval": 1}')
async def test_clock_aligned_values_are_reported_for_idle_connectors_too(talk: Talk) -> None:
    reported = [await talk.link.next("MeterValues") for _ in range(2)]

    assert {payload["connector_id"] for payload in reported} == {1, 2}
    assert all("transaction_id" not in payload for payload in reported)
    assert reported[0]["meter_value"][0]["sampled_value"][0]["context"] == "Sample.Clock"
    assert parse_time(reported[0]["meter_value"][0]["timestamp"]) % 1 < 0.3


@pytest.mark.charger(
    connector_type="CCS2", configuration='{"StopTxnSampledData": "Energy.Active.Import.Register,SoC"}'
)
async def test_a_stop_carries_the_readings_of_its_beginning_and_its_end(talk: Talk) -> None:
    await talk.start()
    await talk.call("RemoteStopTransaction", transaction_id=4711)

    data = (await talk.link.next("StopTransaction"))["transaction_data"]

    contexts = [value["context"] for reading in data for value in reading["sampled_value"]]
    assert contexts == ["Transaction.Begin"] * 2 + ["Transaction.End"] * 2
    assert {value["measurand"] for value in data[0]["sampled_value"]} == {
        "Energy.Active.Import.Register",
        "SoC",
    }
