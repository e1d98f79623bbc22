"""Each method of the vendor's client `ocpplab-simulator`, in both OCPP versions, with its effect at the CSMS."""

import inspect
import json
import re
from pathlib import Path

import pytest
from ocpplab_simulator import OcpplabSimulator

from tests.simulator.http_api.conftest import Vendor
from tests.support.waiting import wait_until_async

GROUPS = [name for name, value in inspect.getmembers(OcpplabSimulator) if isinstance(value, property)]


def test_each_method_of_the_client_is_called_here() -> None:
    client = OcpplabSimulator()
    every = {
        f"{group}.{name}"
        for group in GROUPS
        for name, _ in inspect.getmembers(getattr(client, group), inspect.ismethod)
        if not name.startswith("_")
    }

    assert set(re.findall(r'call\(\s*"(\w+\.\w+)"', Path(__file__).read_text())) == every


async def test_the_page_and_the_health(vendor: Vendor) -> None:
    assert await vendor.call("common.root") is None

    health = await vendor.call("system.health_check")

    assert health["status"] == "ok"
    assert health["components"]["csms"]["registration"] == "Accepted"


async def test_a_cable_goes_in_and_out(vendor: Vendor) -> None:
    await vendor.call("connector.plug_connector", connector_id=2)
    await vendor.talk.status("Preparing" if vendor.talk.is_16 else "Occupied", 2)
    status, body = await vendor.refusal("connector.plug_connector", connector_id=2)
    assert (status, body.detail[0].msg) == (422, "a car is plugged in already")

    await vendor.call("connector.unplug_connector", connector_id=2)

    await vendor.talk.status("Available", 2)


@pytest.mark.parametrize("stop", ["car.ev_stops_energy", "charging_control.suspend_ev"])
async def test_a_car_stops_its_energy_and_asks_for_more(vendor: Vendor, stop: str) -> None:
    await vendor.start()

    if stop == "car.ev_stops_energy":
        await vendor.call("car.ev_stops_energy")
        await vendor.charging_state("SuspendedEV")
        await vendor.call("car.ev_requests_energy")
    else:
        await vendor.call("charging_control.suspend_ev", connector_id=1)
        await vendor.charging_state("SuspendedEV")
        await vendor.call("charging_control.resume_ev", connector_id=1)

    await vendor.charging_state("Charging")


async def test_a_car_draws_the_power_that_is_set(vendor: Vendor) -> None:
    await vendor.start()

    await vendor.call("car.power_update", power_w=5000)

    assert (await vendor.call("car.get_ev_state", connector_id=1))["power_w"] == 5000
    await vendor.call("car.power_update")
    assert (await vendor.call("car.get_ev_state"))["power_w"] == 22_000
    assert (await vendor.refusal("car.get_ev_state", connector_id=3))[0] == 404


async def test_a_charger_stops_delivering_and_goes_on(vendor: Vendor) -> None:
    await vendor.start()

    await vendor.call("charging_control.suspend_evse")
    await vendor.charging_state("SuspendedEVSE")
    await vendor.call("charging_control.resume_evse")

    await vendor.charging_state("Charging")


async def test_the_state_of_charge_is_set(vendor: Vendor) -> None:
    assert (await vendor.refusal("car.update_soc", connector_id=1, soc=50))[0] == 404  # no car
    await vendor.start()

    await vendor.call("car.update_soc", soc=50)

    assert (await vendor.call("car.get_ev_state"))["soc_percent"] == 50
    assert (await vendor.refusal("car.update_soc", soc=101))[0] == 422


async def test_the_register_is_set_and_reported_at_once(vendor: Vendor) -> None:
    await vendor.start()
    register_wh = round(vendor.talk.connector.energy_wh) + 5000

    await vendor.call("car.update_meter_values", energy_wh=register_wh)

    report = await (
        vendor.talk.link.next("MeterValues") if vendor.talk.is_16 else vendor.talk.event("Updated")
    )
    values = [value for each in report["meter_value"] for value in each["sampled_value"]]
    energy = [value for value in values if value["measurand"] == "Energy.Active.Import.Register"]
    assert register_wh <= float(energy[0]["value"]) < register_wh + 100
    assert (await vendor.refusal("car.update_meter_values", energy_wh=-1))[0] == 422


FAULTS = ["GroundFault", "OverCurrent", "OverVoltage", "UnderVoltage", "OverTemperature", "InternalError"]
MORE_FAULTS = ["ConnectorLockFailure", "EVCommunicationError", "PowerMeterFailure", "WeakSignal"]


async def test_a_fault_of_each_type_comes_and_is_repaired(vendor: Vendor) -> None:
    for fault_type in FAULTS + MORE_FAULTS:
        await vendor.call("fault_simulation.simulate_fault", fault_type=fault_type, info="of a test")
        await vendor.talk.status("Faulted")
        assert (await vendor.call("fault_simulation.get_fault_status", connector_id=1))["faulted"]

        await vendor.call("fault_simulation.clear_fault", connector_id=1)

        await vendor.talk.status("Available")
    assert not (await vendor.call("fault_simulation.get_fault_status"))["faulted"]
    assert (await vendor.refusal("fault_simulation.simulate_fault", fault_type="Bad"))[0] == 422


async def test_a_quick_fault_comes_and_is_repaired(vendor: Vendor) -> None:
    await vendor.call("fault_simulation.trigger_quick_fault", connector_id=2)
    await vendor.talk.status("Faulted", 2)

    await vendor.call("fault_simulation.clear_quick_fault", connector_id=2)

    await vendor.talk.status("Available", 2)
    assert (await vendor.refusal("fault_simulation.clear_quick_fault"))[0] == 400


@pytest.mark.parametrize("verdict", ["Accepted", "Blocked"])
async def test_the_verdict_about_a_token_is_in_the_answer(vendor: Vendor, verdict: str) -> None:
    info = "id_tag_info" if vendor.talk.is_16 else "id_token_info"
    vendor.talk.csms.answers["Authorize"] = {info: {"status": verdict}}

    answer = await vendor.call("id_tag.authorize_id_tag", id_tag="CARD-1", token_type="ISO14443")

    call = await vendor.talk.link.next("Authorize")
    assert "CARD-1" in str(call)
    assert verdict in str(answer)


async def test_what_needs_the_csms_says_so_while_the_charger_is_offline(vendor: Vendor) -> None:
    vendor.talk.csms.kill()
    await wait_until_async(lambda: not vendor.talk.model.online)

    for status, body in (
        await vendor.refusal("id_tag.authorize_id_tag", id_tag="CARD-1"),
        await vendor.refusal("provisioning.trigger_message", message="Heartbeat"),
    ):
        assert (status, isinstance(body["detail"], str)) == (503, True)


async def test_a_transaction_is_started_and_stopped(vendor: Vendor) -> None:
    await vendor.call("transaction.start_transaction", id_tag="CARD-1", connector_id=1)
    started = await vendor.transaction("Started")
    assert "CARD-1" in str(started)

    await vendor.call("transaction.stop_transaction")

    await vendor.transaction("Ended")
    assert (await vendor.refusal("transaction.stop_transaction", transaction_id="99"))[0] == 400


async def test_a_start_has_a_charging_profile_as_a_remote_start_has(vendor: Vendor) -> None:
    periods = [{"startPeriod": 0, "limit": 3000}]
    schedule = {"chargingRateUnit": "W", "chargingSchedulePeriod": periods}
    profile = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    if vendor.talk.is_16:
        profile |= {"chargingProfileId": 1, "chargingSchedule": schedule}
    else:
        profile |= {"id": 1, "chargingSchedule": [{"id": 1, **schedule}]}
    await vendor.call("connector.plug_connector")

    await vendor.call(
        "transaction.start_transaction", id_tag="CARD-1", request_id=7, charging_profile=json.dumps(profile)
    )

    await vendor.transaction("Started")
    await wait_until_async(lambda: vendor.talk.connector.power_w == 3000)


async def test_a_token_is_authorized_and_starts(vendor: Vendor) -> None:
    await vendor.call("connector.plug_connector", connector_id=2)

    await vendor.call("transaction.authorize_and_start", id_tag="CARD-1", connector_id=2)

    assert "CARD-1" in str(await vendor.talk.link.next("Authorize"))
    assert "CARD-1" in str(await vendor.transaction("Started"))


async def test_a_token_that_the_csms_refuses_starts_nothing(vendor: Vendor) -> None:
    info = "id_tag_info" if vendor.talk.is_16 else "id_token_info"
    vendor.talk.csms.answers["Authorize"] = {info: {"status": "Invalid"}}
    await vendor.call("connector.plug_connector")

    status, body = await vendor.refusal("transaction.authorize_and_start", id_tag="CARD-1")

    assert (status, "Invalid" in str(body)) == (400, True)
    assert vendor.talk.connector.transaction is None


async def test_a_setting_is_read_and_changed(vendor: Vendor) -> None:
    key = "HeartbeatInterval" if vendor.talk.is_16 else "OCPPCommCtrlr.HeartbeatInterval"

    answer = await vendor.call("configuration.update_configuration", key=key, value="1")

    assert "Accepted" in str(answer)
    await vendor.talk.link.next("Heartbeat")
    assert "1" in str(await vendor.call("configuration.get_configuration", key=key))
    assert len(str(await vendor.call("configuration.get_configuration"))) > 1000
    for changed in (
        await vendor.call("configuration.update_configuration", key=key, value="often"),
        await vendor.call("configuration.update_configuration", key="Nonsense", value="1"),
    ):
        assert "Accepted" not in str(changed)


async def test_the_cache_is_read_and_reset(vendor: Vendor) -> None:
    await vendor.call("id_tag.authorize_id_tag", id_tag="CARD-1")
    assert "card-1" in str(await vendor.call("cache.get_authorization_cache"))

    assert (await vendor.call("cache.reset_authorization_cache"))["cleared_entries"] == 1

    assert "card-1" not in str(await vendor.call("cache.get_authorization_cache"))


async def test_the_local_list_is_sent_read_and_edited(vendor: Vendor) -> None:
    await vendor.call(
        "local_auth_list.send_local_list", list_version=3, update_type="Full", id_tags=["CARD-1", "CARD-2"]
    )
    assert (await vendor.call("local_auth_list.get_local_auth_list_version"))["list_version"] == 3
    await vendor.call(
        "local_auth_list.add_local_auth_list_entry",
        id_tag="CARD-3",
        status="Accepted",
        expiry_date="2099-01-01T00:00:00Z",
        parent_id_tag="GROUP",
    )
    await vendor.call("local_auth_list.delete_local_auth_list_entry", id_tag="CARD-1")

    entries = str(await vendor.call("local_auth_list.get_local_auth_list"))

    assert [name in entries for name in ("card-1", "card-2", "card-3", "GROUP")] == [False, True, True, True]
    stale, _ = await vendor.refusal("local_auth_list.send_local_list", list_version=1, id_tags="CARD-9")
    assert stale == 400
    await vendor.call(
        "local_auth_list.send_local_list", list_version=9, update_type="Differential", id_tags="CARD-4"
    )
    entries = str(await vendor.call("local_auth_list.get_local_auth_list"))
    assert [name in entries for name in ("card-2", "card-4", "card-9")] == [True, True, False]
    assert (await vendor.call("local_auth_list.get_local_auth_list_version"))["list_version"] == 9


async def test_a_message_is_triggered(vendor: Vendor) -> None:
    await vendor.call("provisioning.trigger_message", message="Heartbeat")
    await vendor.talk.link.next("Heartbeat")

    place = {"connector_id": 2} if vendor.talk.is_16 else {"evse_id": 2, "connector_id": 1}
    await vendor.call("provisioning.trigger_message", message="StatusNotification", **place)

    await vendor.talk.status("Available", 2)
    assert (await vendor.refusal("provisioning.trigger_message", message="Nonsense"))[0] in (400, 422)


@pytest.mark.charger(reboot_s=0)
async def test_a_charger_reboots(vendor: Vendor) -> None:
    kind = "Soft" if vendor.talk.is_16 else "Immediate"

    await vendor.call("provisioning.reboot_charger", type=kind)

    again = await vendor.talk.csms.link(2)
    assert (await again.next("BootNotification")) is not None
    assert (await vendor.refusal("provisioning.reboot_charger", type="Sideways"))[0] in (400, 422)
