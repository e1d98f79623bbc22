"""OCPP 1.6: charging profiles."""

from collections.abc import Awaitable
from typing import Any

import pytest
from ocpp.exceptions import PropertyConstraintViolationError  # type: ignore[import-untyped]

from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


def profile(limit: float, *, purpose: str = "TxDefaultProfile", **more: Any) -> Payload:
    return {
        "charging_profile_id": more.pop("id", 1),
        "stack_level": more.pop("level", 0),
        "charging_profile_purpose": purpose,
        "charging_profile_kind": more.pop("kind", "Relative"),
        "charging_schedule": {
            "charging_rate_unit": more.pop("unit", "W"),
            "charging_schedule_period": [{"start_period": 0, "limit": limit}, *more.pop("then", [])],
            **more.pop("schedule", {}),
        },
        **more,
    }


async def test_the_drawn_power_follows_the_profiles(talk: Talk) -> None:
    async def install(connector_id: int, **given: Any) -> str:
        answer = await talk.call(
            "SetChargingProfile", connector_id=connector_id, cs_charging_profiles=profile(**given)
        )
        return str(answer.status)

    def clear(**which: Any) -> Awaitable[Any]:
        return talk.call("ClearChargingProfile", **which)

    assert await install(0, limit=11_000) == "Accepted"
    await talk.start()
    assert talk.connector.power_w == 11_000
    assert await install(1, limit=9_000, id=2) == "Accepted"
    assert talk.connector.power_w == 9_000
    assert await install(1, limit=10, unit="A", id=3, purpose="TxProfile", transaction_id=4711) == "Accepted"
    assert talk.connector.power_w == 6_900
    absolute = {"kind": "Absolute", "schedule": {"start_schedule": in_seconds(-60)}}
    assert await install(0, limit=5_000, id=4, purpose="ChargePointMaxProfile", **absolute) == "Accepted"
    assert talk.connector.power_w == 5_000
    assert await install(1, limit=0, id=5, purpose="TxProfile", level=1) == "Accepted"
    await talk.status("SuspendedEVSE")
    assert (await clear(id=5)).status == "Accepted"
    await talk.status("Charging")
    assert (await clear(id=5)).status == "Unknown"
    assert (await clear(charging_profile_purpose="ChargePointMaxProfile")).status == "Accepted"
    assert talk.connector.power_w == 6_900
    await talk.call("RemoteStopTransaction", transaction_id=4711)
    assert [installed.id for installed in talk.model.station.profiles] == [1, 2]


async def test_the_power_changes_with_the_periods_of_a_profile(talk: Talk) -> None:
    given = profile(4_000, then=[{"start_period": 1, "limit": 8_000}])
    await talk.call("SetChargingProfile", connector_id=1, cs_charging_profiles=given)
    await talk.start()
    assert talk.connector.power_w == 4_000

    await wait_until_async(lambda: talk.connector.power_w == 8_000)


async def test_a_profile_that_comes_with_a_remote_start_is_for_that_transaction(talk: Talk) -> None:
    await talk.start(charging_profile=profile(3_000, purpose="TxProfile"))

    assert talk.connector.power_w == 3_000
    await talk.call("RemoteStopTransaction", transaction_id=4711)
    assert len(talk.model.station.profiles) == 0


@pytest.mark.parametrize(
    ("connector_id", "given"),
    [
        (1, profile(1, purpose="ChargePointMaxProfile")),
        (1, profile(1, purpose="TxProfile")),
        (1, profile(-1.0)),
        (1, profile(1, level=99)),
        (1, profile(1, then=[{"start_period": 0, "limit": 2}])),
        (1, profile(1, schedule={"start_schedule": "yesterday"})),
    ],
)
async def test_an_invalid_profile_is_rejected(talk: Talk, connector_id: int, given: Payload) -> None:
    answer = await talk.call("SetChargingProfile", connector_id=connector_id, cs_charging_profiles=given)

    assert answer.status == "Rejected"
    assert len(talk.model.station.profiles) == 0


@pytest.mark.parametrize("connector_id", [-1, 3])
async def test_a_profile_for_an_unknown_connector_is_an_invalid_request(
    talk: Talk, connector_id: int
) -> None:
    """Errata 3.39: a CALLERROR PropertyConstraintViolation."""
    with pytest.raises(PropertyConstraintViolationError):
        await talk.call("SetChargingProfile", connector_id=connector_id, cs_charging_profiles=profile(1))


async def test_a_composite_schedule_shows_what_will_be_allowed(talk: Talk) -> None:
    given = profile(
        11_000,
        kind="Absolute",
        then=[{"start_period": 100, "limit": 6_900}],
        schedule={"start_schedule": in_seconds(-40), "duration": 200},
    )
    await talk.call("SetChargingProfile", connector_id=0, cs_charging_profiles=given)

    answer = await talk.call("GetCompositeSchedule", connector_id=1, duration=300, charging_rate_unit="A")

    assert (answer.status, answer.connector_id) == ("Accepted", 1)
    periods = answer.charging_schedule["charging_schedule_period"]
    assert [float(period["limit"]) for period in periods] == [15.9, 10.0, 31.9]
    assert [period["start_period"] for period in periods] == pytest.approx([0, 60, 160], abs=2)
    assert (await talk.call("GetCompositeSchedule", connector_id=9, duration=1)).status == "Rejected"
    whole = await talk.call("GetCompositeSchedule", connector_id=0, duration=300)
    sums = [float(period["limit"]) for period in whole.charging_schedule["charging_schedule_period"]]
    assert sums == [22_000, 13_800, 44_000], "what both connectors may draw together"
