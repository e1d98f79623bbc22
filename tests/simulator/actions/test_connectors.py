"""Actions at a connector: the cable, the car, the meter, faults."""

from typing import Any

import pytest

from tests.simulator.station.both import reserve, started
from tests.simulator.talk import Talk
from tests.simulator.unconnected import Unconnected


async def begin(talk: Talk) -> None:
    assert (await talk.act("start_session", id_tag="TAG")).status == "applied"
    await started(talk)


@pytest.mark.parametrize(
    ("place", "number"),
    [({}, 1), ({"evse_id": 2}, 2), ({"connector_id": 2}, 2), ({"evse_id": None, "connector_id": 2}, 2)],
)
async def test_a_place_is_named_by_either_number(charger: Unconnected, place: Any, number: int) -> None:
    outcome = await charger.model.actions.perform("plug_connector", place)

    assert outcome.status == "applied"
    assert [each.number for each in charger.model.station.connectors if each.plugged] == [number]


async def test_both_numbers_name_the_same_place(charger: Unconnected) -> None:
    same = {"evse_id": 2, "connector_id": 2 if charger.is_16 else 1}
    other = {"evse_id": 2, "connector_id": 1 if charger.is_16 else 2}

    refused = await charger.model.actions.perform("plug_connector", other)
    done = await charger.model.actions.perform("plug_connector", same)

    assert (refused.status, done.status) == ("rejected", "applied")
    assert "not the same place" in str(refused.reason)
    assert done.result is not None
    assert (done.result["evse_id"], done.result["connector_id"]) == ((None, 2) if charger.is_16 else (2, 1))


async def test_a_connector_names_its_reservation_until_the_transaction_of_its_token_has_ended(
    talk: Talk,
) -> None:
    async def reservation_id() -> Any:
        state = await talk.act("get_ev_state", connector_id=1)
        assert state.result is not None
        return state.result["reservation_id"]

    await reserve(talk, 5, 1, "TAG")
    kept = await reservation_id()
    await begin(talk)
    used = await reservation_id()
    await talk.act("stop_session")

    assert (kept, used, await reservation_id()) == (5, 5, None)


async def test_the_charger_suspends_a_transaction_and_resumes_it(talk: Talk) -> None:
    await begin(talk)

    suspended = await talk.act("suspend_evse")
    assert suspended.result is not None
    assert suspended.result["power_w"] == 0
    if talk.is_16:
        await talk.status("SuspendedEVSE")
    else:
        await talk.event("Updated", "ChargingStateChanged")

    await talk.act("resume_evse")
    assert talk.connector.power_w == 22_000
    await talk.act("suspend_evse")
    await talk.act("stop_session")
    assert not talk.connector.suspended
    assert (await talk.act("suspend_evse")).status == "rejected"


async def test_a_car_stops_and_requests_energy(talk: Talk) -> None:
    await begin(talk)

    await talk.act("ev_stops_energy", connector_id=1)
    assert talk.connector.charging_state == "SuspendedEV"
    await talk.act("ev_requests_energy", connector_id=1)
    await talk.act("power_update", power_w=5_000)

    assert talk.connector.power_w == 5_000
    assert (await talk.act("ev_requests_energy", connector_id=2)).status == "rejected"


async def test_a_battery_gets_a_state_of_charge(charger: Unconnected) -> None:
    assert (await charger.model.actions.perform("update_soc", {"soc": 50})).status == "rejected"
    await charger.model.actions.perform("plug_connector", {"energy_wh": 40_000, "battery_wh": 60_000})

    outcome = await charger.model.actions.perform("update_soc", {"soc": 50})

    ev = charger.model.station.connectors[0].ev
    assert ev is not None
    assert outcome.result is not None
    assert outcome.result["soc_percent"] == pytest.approx(50)
    assert ev.wanted_wh == pytest.approx(30_000)


@pytest.mark.charger(meter_start_wh=0)
async def test_a_register_is_set_and_reported_at_once(talk: Talk) -> None:
    await begin(talk)
    await talk.act("suspend_evse")

    outcome = await talk.act("update_meter_values", energy_wh=7_000)

    if talk.is_16:
        reported = (await talk.link.next("MeterValues"))["meter_value"][0]["sampled_value"][0]["value"]
    else:
        event = await talk.event("Updated", "MeterValuePeriodic")
        reported = event["meter_value"][0]["sampled_value"][0]["value"]
    assert (outcome.status, float(reported)) == ("applied", 7_000)
    assert (await talk.act("update_meter_values", energy_wh=6_999)).status == "rejected"
    assert (await talk.act("update_meter_values", energy_wh=8_000, connector_id=2)).status == "applied"
    await talk.link.next("MeterValues")


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("OverCurrent", "OverCurrentFailure"),
        ("over_current", "OverCurrentFailure"),
        ("groundfailure", "GroundFailure"),
        ("OverTemperature", "HighTemperature"),
    ],
)
async def test_a_fault_comes_and_is_repaired(talk: Talk, name: str, code: str) -> None:
    injected = await talk.act("inject_fault", fault_type=name, connector_id=2, info="smoke")

    reported = await talk.status("Faulted", 2)
    assert not talk.is_16 or (reported["error_code"], reported["info"]) == (code, "smoke")
    assert injected.result is not None
    assert (injected.result["fault_type"], injected.result["status"]) == (name, "Faulted")
    shown = await talk.act("get_fault_status")
    assert shown.result is not None
    assert (shown.result["fault_type"], shown.result["info"]) == (code, "smoke")

    cleared = await talk.act("clear_fault")

    assert cleared.result is not None
    assert cleared.result["status"] == "Available"
    assert (await talk.act("clear_fault")).status == "rejected"


async def test_an_unknown_fault_is_rejected(charger: Unconnected) -> None:
    outcome = await charger.model.actions.perform("inject_fault", {"fault_type": "Meteor"})

    assert outcome.status == "rejected"
    assert "GroundFault, OverCurrent" in str(outcome.reason)


async def test_a_latch_lets_go_unless_its_lock_has_failed(talk: Talk) -> None:
    await begin(talk)

    outcome = await talk.act("unlock_connector")

    assert outcome.status == ("applied" if talk.is_16 else "rejected")
    await talk.act("inject_fault", fault_type="ConnectorLockFailure")
    failed = await talk.act("unlock_connector")
    assert (failed.status, failed.reason) == ("rejected", "UnlockFailed")


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_fault_is_an_event_of_its_connector(talk: Talk) -> None:
    await talk.act("inject_fault", fault_type="OverVoltage", connector_id=2, info="smoke")
    await talk.act("clear_fault")

    came = (await talk.link.next("NotifyEvent"))["event_data"][0]
    went = (await talk.link.next("NotifyEvent"))["event_data"][0]
    assert came["component"] == {"name": "Connector", "evse": {"id": 2, "connector_id": 1}}
    assert [came["tech_code"], came["tech_info"], came["actual_value"], came["cleared"]] == [
        "OverVoltage",
        "smoke",
        "true",
        False,
    ]
    assert [went["tech_code"], went["actual_value"], went["cleared"]] == ["OverVoltage", "false", True]
