"""OCPP 2.0.1: charging profiles."""

from collections.abc import Awaitable
from typing import Any

import pytest

from tests.simulator.talk import TOKEN, Talk, in_seconds
from tests.support.csms import Payload


def profile(limit: float, *, purpose: str = "TxDefaultProfile", **more: Any) -> Payload:
    return {
        "id": more.pop("id", 1),
        "stack_level": more.pop("level", 0),
        "charging_profile_purpose": purpose,
        "charging_profile_kind": more.pop("kind", "Relative"),
        "charging_schedule": [
            {
                "id": 1,
                "charging_rate_unit": more.pop("unit", "W"),
                "charging_schedule_period": [{"start_period": 0, "limit": limit}],
                **more.pop("schedule", {}),
            }
        ],
        **more,
    }


async def test_the_drawn_power_follows_the_profiles(talk: Talk) -> None:
    async def install(evse_id: int, **given: Any) -> str:
        answer = await talk.call("SetChargingProfile", evse_id=evse_id, charging_profile=profile(**given))
        return str(answer.status)

    def clear(**which: Any) -> Awaitable[Any]:
        return talk.call("ClearChargingProfile", **which)

    assert await install(0, limit=11_000) == "Accepted"
    transaction_id = (await talk.start())["transaction_info"]["transaction_id"]
    assert talk.connector.power_w == 11_000
    tx = {"purpose": "TxProfile", "transaction_id": transaction_id}
    assert await install(1, limit=10, unit="A", id=3, **tx) == "Accepted"
    assert talk.connector.power_w == 6_900
    await talk.event("Updated", "ChargingRateChanged")
    absolute = {"kind": "Absolute", "schedule": {"start_schedule": in_seconds(-60)}}
    assert await install(0, limit=5_000, id=4, purpose="ChargingStationMaxProfile", **absolute) == "Accepted"
    assert talk.connector.power_w == 5_000
    assert await install(1, limit=1, id=6, purpose="ChargingStationMaxProfile") == "Rejected"
    assert await install(1, limit=1, id=6, purpose="TxProfile") == "Rejected"
    assert await install(3, limit=1, id=6) == "Rejected"
    assert (await clear(charging_profile_id=4)).status == "Accepted"
    assert talk.connector.power_w == 6_900
    assert (await clear(charging_profile_criteria={"stack_level": 9})).status == "Unknown"
    await talk.request_stop()
    assert [installed.id for installed in talk.model.station.profiles] == [1]


async def test_a_refusal_says_why(talk: Talk) -> None:
    """matth-x/MicroOcpp#310: a negative limit let the meter's register run backwards."""
    await talk.start()

    answer = await talk.call("SetChargingProfile", evse_id=1, charging_profile=profile(-1.0))

    assert answer.status == "Rejected"
    assert answer.status_info["reason_code"] == "InvalidSchedule"
    assert talk.connector.power_w == 22_000


async def test_installed_profiles_are_reported(talk: Talk) -> None:
    for evse_id in (0, 1):
        given = profile(5_000, id=10 + evse_id, level=evse_id)
        await talk.call("SetChargingProfile", evse_id=evse_id, charging_profile=given)

    wanted = {"charging_profile_purpose": "TxDefaultProfile", "charging_limit_source": ["CSO", "EMS"]}
    answer = await talk.call("GetChargingProfiles", request_id=3, charging_profile=wanted)
    reports = [await talk.link.next("ReportChargingProfiles") for _ in range(2)]

    assert answer.status == "Accepted"
    assert [(report["evse_id"], report["tbc"]) for report in reports] == [(0, True), (1, False)]
    assert [report["charging_profile"][0]["id"] for report in reports] == [10, 11]
    none = await talk.call(
        "GetChargingProfiles", request_id=3, charging_profile={"charging_profile_id": [99]}
    )
    assert none.status == "NoProfiles"


async def test_a_profile_that_comes_with_a_start_is_for_that_transaction(talk: Talk) -> None:
    await talk.start(charging_profile=profile(3_000, purpose="TxProfile"))

    assert talk.connector.power_w == 3_000
    given = profile(1, purpose="TxDefaultProfile")
    start: Payload = {"id_token": TOKEN, "remote_start_id": 9, "charging_profile": given}
    assert (await talk.call("RequestStartTransaction", **start)).status == "Rejected"


async def test_a_composite_schedule_shows_what_will_be_allowed(talk: Talk) -> None:
    daily: Payload = {
        "kind": "Recurring",
        "recurrency_kind": "Daily",
        "schedule": {"start_schedule": in_seconds(-86_400 - 40), "duration": 100},
    }
    await talk.call("SetChargingProfile", evse_id=1, charging_profile=profile(8_000, **daily))

    answer = await talk.call("GetCompositeSchedule", evse_id=1, duration=300)

    assert answer.status == "Accepted"
    periods = answer.schedule["charging_schedule_period"]
    assert [float(period["limit"]) for period in periods] == [8_000, 22_000]
    assert [period["start_period"] for period in periods] == pytest.approx([0, 60], abs=2)
    assert (await talk.call("GetCompositeSchedule", evse_id=9, duration=1)).status == "Rejected"
