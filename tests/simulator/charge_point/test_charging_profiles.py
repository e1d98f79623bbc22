"""Which charging profiles are refused and why: in OCPP 2.0.1 K01 and its reason codes."""

import pytest
from ocpp.exceptions import PropertyConstraintViolationError  # type: ignore[import-untyped]

from simulator.clock import format_time
from tests.simulator.unconnected import ABSOLUTE, NOW, Fields, Unconnected, later, outcome, unconnected

DAILY: Fields = ABSOLUTE | {"kind": "Recurring", "recurrencyKind": "Daily"}

REFUSED: dict[str, tuple[int, Fields, str]] = {
    "a negative limit": (1, {"limit": -1.0}, "InvalidSchedule"),
    "an infinite limit": (1, {"limit": float("inf")}, "InvalidSchedule"),
    "a limit beyond any float": (1, {"limit": 10**400}, "InvalidSchedule"),
    "a later negative limit": (1, {"then": [later(60, -0.1)]}, "InvalidSchedule"),
    "a negative minChargingRate": (1, {"schedule": {"minChargingRate": -1.0}}, "InvalidSchedule"),
    "a duration of 0": (1, {"schedule": {"duration": 0}}, "InvalidSchedule"),
    "a negative duration": (1, {"schedule": {"duration": -5}}, "InvalidSchedule"),
    "a first period that is not at 0 (K01.FR.31)": (1, {"period": {"startPeriod": 1}}, "InvalidSchedule"),
    "periods out of order (K01.FR.35)": (1, {"then": [later(9), later(5)]}, "InvalidSchedule"),
    "two periods at once (K01.FR.35)": (1, {"then": [later(9), later(9)]}, "InvalidSchedule"),
    "a period beyond any time": (1, {"then": [later(10**400)]}, "InvalidSchedule"),
    "too many periods": (1, {"then": [later(s) for s in range(1, 101)]}, "TooManyElements"),
    "no phase": (1, {"period": {"numberPhases": 0}}, "InvalidSchedule"),
    "four phases": (1, {"period": {"numberPhases": 4}}, "InvalidSchedule"),
    "a negative stack level": (1, {"level": -1}, "InvalidStackLevel"),
    "a stack level that is too high": (1, {"level": 21}, "InvalidStackLevel"),
    "an unknown connector": (3, {}, "UnknownEvse"),
    "a negative connector": (-1, {}, "UnknownEvse"),
    "a limit of the charger at a connector": (1, {"purpose": "Max"} | ABSOLUTE, "InvalidValue"),
    "Relative with a startSchedule (K01.FR.41)": (1, ABSOLUTE | {"kind": "Relative"}, "InvalidSchedule"),
    "Recurring without recurrencyKind": (1, ABSOLUTE | {"kind": "Recurring"}, "InvalidProfile"),
    "recurrencyKind without Recurring": (1, DAILY | {"kind": "Absolute"}, "InvalidProfile"),
    "a transactionId without TxProfile": (1, {"transactionId": "x"}, "InvalidProfile"),
    "a startSchedule that is no time": (1, {"schedule": {"startSchedule": "noon"}}, "InvalidValue"),
    "a validTo that is no time": (1, {"validTo": "noon"}, "InvalidValue"),
    "a validTo that has passed": (1, {"validTo": format_time(NOW - 60)}, "InvalidProfile"),
    "a validTo before validFrom": (
        1,
        {"validFrom": format_time(NOW + 120), "validTo": format_time(NOW + 60)},
        "InvalidProfile",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_profile_that_could_not_be_obeyed_is_refused_with_a_reason(
    charger: Unconnected, case: str
) -> None:
    number, fields, code = REFUSED[case]
    if charger.is_16 and code == "UnknownEvse":
        with pytest.raises(PropertyConstraintViolationError):  # 1.6, errata 3.39
            charger.install(number, **fields)
        return
    if charger.is_16 and "transactionId" in fields:
        fields = fields | {"transactionId": 1}

    answer = charger.install(number, **fields)

    assert outcome(charger, answer) == ("Rejected" if charger.is_16 else code)
    assert len(charger.model.station.profiles) == 0


REFUSED_BY_201: dict[str, tuple[int, Fields, str]] = {
    "external constraints (K01.FR.22)": (
        0,
        {"purpose": "ChargingStationExternalConstraints"} | ABSOLUTE,
        "InvalidProfile",
    ),
    "a relative limit of the station (K01.FR.38)": (0, {"purpose": "Max"}, "InvalidValue"),
    "Absolute without a start (K01.FR.40)": (1, {"kind": "Absolute"}, "InvalidSchedule"),
    "Recurring without a start (K01.FR.40)": (
        1,
        {"kind": "Recurring", "recurrencyKind": "Weekly"},
        "InvalidSchedule",
    ),
    "phaseToUse (K01.FR.20)": (1, {"period": {"numberPhases": 1, "phaseToUse": 2}}, "UnsupportedParam"),
    "a TxProfile for EVSE 0 (K01.FR.16)": (0, {"purpose": "TxProfile", "transactionId": "x"}, "InvalidValue"),
    "a TxProfile without transactionId (K01.FR.03)": (1, {"purpose": "TxProfile"}, "MissingParam"),
    "an unknown transaction (K01.FR.33)": (
        1,
        {"purpose": "TxProfile", "transactionId": "x"},
        "TxNotFound",
    ),
}


@pytest.mark.parametrize("case", REFUSED_BY_201)
async def test_ocpp_201_refuses_more(charger_201: Unconnected, case: str) -> None:
    number, fields, code = REFUSED_BY_201[case]

    assert outcome(charger_201, charger_201.install(number, **fields)) == code
    assert len(charger_201.model.station.profiles) == 0


async def test_ocpp_201_refuses_what_is_for_iso_15118(charger_201: Unconnected) -> None:
    """Several schedules and a sales tariff are choices for a car that negotiates (2.0.1, ChargingProfileType)."""
    profile = charger_201.profile()
    (schedule,) = profile["chargingSchedule"]
    tariff = {"id": 1, "salesTariffEntry": [{"relativeTimeInterval": {"start": 0}}]}
    for schedules, code in (
        ([schedule, schedule | {"id": 2}], "InvalidSchedule"),
        ([schedule | {"salesTariff": tariff}], "UnsupportedParam"),
    ):
        request = {"evseId": 1, "chargingProfile": profile | {"chargingSchedule": schedules}}

        assert outcome(charger_201, charger_201.answer("SetChargingProfile", request)) == code


@pytest.mark.parametrize(
    ("connector_type", "power_w", "phases"), [("CCS", 50_000, 1), ("CCS", 50_000, 3), ("Type2", 7_400, 3)]
)
async def test_ocpp_201_refuses_phases_that_the_charger_does_not_have(
    connector_type: str, power_w: int, phases: int
) -> None:
    """K01.FR.44 and .45, as EVerest's libocpp. 1.6 assumes three where none are given (part 1, 7.14)."""
    place = {"connector_type": connector_type, "max_power_w": power_w}
    with unconnected("OCPP2.0.1", **place) as charger:
        assert outcome(charger, charger.install(1, period={"numberPhases": phases})) == "InvalidSchedule"
        assert outcome(charger, charger.install(1)) == "Accepted"
    with unconnected("OCPP1.6", **place) as charger:
        assert outcome(charger, charger.install(1, period={"numberPhases": phases})) == "Accepted"


async def test_a_tx_profile_is_for_a_running_transaction(charger: Unconnected) -> None:
    """K01.FR.09; OCPP 1.6 part 1, 3.13.1."""
    of_other: Fields = {"purpose": "TxProfile", "transactionId": 99 if charger.is_16 else "other"}
    assert outcome(charger, charger.install(1, **of_other)) != "Accepted"
    charger.start(1)
    transaction = charger.model.station.connectors[0].transaction
    assert transaction is not None

    assert outcome(charger, charger.install(1, **of_other)) != "Accepted"
    its_own = {} if charger.is_16 else {"transactionId": transaction.id}
    assert outcome(charger, charger.install(1, 3_000, purpose="TxProfile", **its_own)) == "Accepted"
    assert charger.power_w() == 3_000
