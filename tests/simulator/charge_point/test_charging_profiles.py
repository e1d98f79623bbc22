"""Which charging profiles are installed, and which are refused and why: in OCPP 2.0.1 K01 and its reason codes."""

import json
import time
from typing import Any

import pytest

from simulator.clock import format_time
from tests.simulator.unconnected import Unconnected, unconnected

Fields = dict[str, Any]

NOW = time.time()
ABSOLUTE: Fields = {"kind": "Absolute", "schedule": {"startSchedule": format_time(NOW)}}
DAILY: Fields = ABSOLUTE | {"kind": "Recurring", "recurrencyKind": "Daily"}


@pytest.fixture(params=["OCPP1.6", "OCPP2.0.1"])
async def charger(request: pytest.FixtureRequest) -> Any:
    with unconnected(request.param) as charger:
        yield charger


@pytest.fixture(params=["OCPP2.0.1"])
async def charger_201() -> Any:
    with unconnected("OCPP2.0.1") as charger:
        yield charger


def later(start_s: float, limit: float = 1) -> Fields:
    return {"startPeriod": start_s, "limit": limit}


def outcome(charger: Unconnected, answer: Fields) -> str:
    """`Accepted`, or the reason code of a refusal. OCPP 1.6 has no codes: there the log says why."""
    if answer["status"] == "Accepted":
        return "Accepted"
    assert answer["status"] == "Rejected"
    if charger.is_16:
        assert charger.remarks[-1].startswith("the charging profile is refused: ")
        return "Rejected"
    assert answer["statusInfo"]["additionalInfo"]
    return str(answer["statusInfo"]["reasonCode"])


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


@pytest.mark.parametrize(
    ("first", "second", "expected_201", "left_16"),
    [
        pytest.param((1, {}), (1, {"id": 2}), "DuplicateProfile", [2], id="the same place (K01.FR.06)"),
        pytest.param((1, {}), (2, {"id": 2}), "Accepted", [1, 2], id="another EVSE"),
        pytest.param((1, {}), (1, {"id": 2, "level": 1}), "Accepted", [1, 2], id="another level"),
        pytest.param((0, {}), (1, {"id": 2}), "DuplicateProfile", [1, 2], id="all, then one (K01.FR.53)"),
        pytest.param((1, {}), (0, {"id": 2}), "DuplicateProfile", [1, 2], id="one, then all (K01.FR.52)"),
        pytest.param((1, {}), (2, {"level": 3}), "Accepted", [1], id="the same id elsewhere (K01.FR.05)"),
        pytest.param(
            (1, {"validTo": format_time(NOW + 600)}),
            (1, {"id": 2, "validFrom": format_time(NOW + 600)}),
            "Accepted",
            [2],
            id="the same place later",
        ),
    ],
)
async def test_two_profiles_never_have_the_same_place(
    charger: Unconnected,
    first: tuple[int, Fields],
    second: tuple[int, Fields],
    expected_201: str,
    left_16: list[int],
) -> None:
    """1.6 replaces (part 1, 5.16.3); 2.0.1 replaces by id only, and refuses the rest."""
    assert outcome(charger, charger.install(first[0], **first[1])) == "Accepted"

    answer = charger.install(second[0], **second[1])

    assert outcome(charger, answer) == ("Accepted" if charger.is_16 else expected_201)
    if charger.is_16:
        assert [profile.id for profile in charger.model.station.profiles] == left_16


async def test_a_transaction_has_one_profile_of_each_level(charger_201: Unconnected) -> None:
    """K01.FR.39."""
    charger = charger_201
    charger.start(1)
    transaction = charger.model.station.connectors[0].transaction
    assert transaction is not None
    its: Fields = {"purpose": "TxProfile", "transactionId": transaction.id}
    assert outcome(charger, charger.install(1, **its)) == "Accepted"

    assert outcome(charger, charger.install(1, id=2, **its)) == "DuplicateProfile"
    assert outcome(charger, charger.install(1, id=2, level=1, **its)) == "Accepted"
    assert outcome(charger, charger.install(1, 1_000, id=2, level=1, **its)) == "Accepted"
    assert charger.power_w() == 1_000


async def test_a_full_charger_takes_a_profile_only_in_the_place_of_another(charger: Unconnected) -> None:
    charger.model.options.set("max_profiles", 2)
    charger.install(1)
    charger.install(2, id=2)

    assert outcome(charger, charger.install(1, id=3, level=1)) in ("Rejected", "TooManyElements")
    assert outcome(charger, charger.install(1, 5_000)) == "Accepted"
    assert [profile.id for profile in charger.model.station.profiles] == [2, 1]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"purpose": "TxDefaultProfile"}, "InvalidProfile"),
        ({"purpose": "TxProfile", "transactionId": 1}, "InvalidProfile"),
        ({"purpose": "TxProfile", "limit": -1.0}, "InvalidSchedule"),
        ({"purpose": "TxProfile", "period": {"numberPhases": 4}}, "InvalidSchedule"),
    ],
)
async def test_a_remote_start_with_an_invalid_profile_is_rejected(
    charger: Unconnected, fields: Fields, code: str
) -> None:
    """F01.FR.26; OCPP 1.6 part 1, 5.16.2."""
    if not charger.is_16 and "transactionId" in fields:
        fields = fields | {"transactionId": "x"}

    answer = charger.start(1, chargingProfile=charger.profile(**fields))

    assert answer["status"] == "Rejected"
    if not charger.is_16:
        assert answer["statusInfo"]["reasonCode"] == code
    assert charger.model.station.connectors[0].transaction is None
    assert len(charger.model.station.profiles) == 0


EVCONNECTED = '{"TxCtrlr.TxStartPoint": "EVConnected"}'


@pytest.mark.parametrize("configuration", ["{}", EVCONNECTED])
async def test_the_profile_of_a_remote_start_holds_also_in_a_transaction_that_the_cable_began(
    configuration: str,
) -> None:
    with unconnected("OCPP2.0.1", configuration=configuration) as charger:
        charger.model.actions.perform("PlugIn", None)

        charger.start(1, chargingProfile=charger.profile(3_000, purpose="TxProfile"))

        assert charger.power_w() == 3_000


async def test_a_relative_limit_of_the_charger_starts_when_it_is_received() -> None:
    """Home Assistant sends it (lbbrhzn/ocpp#148). The charger chooses its start (OCPP 1.6 part 1, 7.9)."""
    with unconnected("OCPP1.6") as charger:
        charger.start(1)
        assert charger.power_w() == 22_000

        charger.install(0, 10, purpose="Max", unit="A", then=[later(100, 20)])

        assert charger.power_w() == 6_900
        assert [period["limit"] for period in charger.composite(1, 300, "A")["chargingSchedulePeriod"]] == [
            10,
            20,
        ]


async def test_an_absolute_profile_without_a_start_begins_with_the_transaction() -> None:
    """OCPP 1.6 part 1, 7.13: without startSchedule it is relative to the start of charging."""
    with unconnected("OCPP1.6") as charger:
        assert charger.install(1, 3_000, kind="Absolute")["status"] == "Accepted"
        charger.start(1)
        assert charger.power_w() == 3_000


async def test_profiles_are_cleared_by_id_or_by_criteria_that_are_all_met(charger: Unconnected) -> None:
    """OCPP 1.6 part 1, 6.13 with errata 3.26; 2.0.1 K10.FR.03 and .04."""
    charger.install(1)
    charger.install(2, id=2, level=5)

    def clear(profile_id: int | None = None, **criteria: Any) -> str:
        place = {"connectorId" if charger.is_16 else "evseId": criteria.pop("number", 1)}
        chosen = {} if profile_id is None else {"id" if charger.is_16 else "chargingProfileId": profile_id}
        meets = place | criteria
        request = chosen | (meets if charger.is_16 else {"chargingProfileCriteria": meets})
        return str(charger.answer("ClearChargingProfile", request)["status"])

    assert clear(stackLevel=5) == "Unknown"
    assert clear(number=2, stackLevel=5, chargingProfilePurpose="TxDefaultProfile") == "Accepted"
    assert [profile.id for profile in charger.model.station.profiles] == [1]
    assert clear(9, number=1) == "Unknown"
    assert clear(1, number=2, stackLevel=5) == "Accepted", "with an id the criteria do not count"
    assert len(charger.model.station.profiles) == 0
    assert charger.answer("ClearChargingProfile", {})["status"] == "Unknown"


async def test_an_expired_profile_is_in_nobodys_way(charger: Unconnected) -> None:
    charger.model.options.set("max_profiles", 1)
    charger.install(1, validTo=format_time(NOW + 600))
    (profile,) = charger.model.station.profiles
    profile.valid_to = NOW - 1

    assert outcome(charger, charger.install(2, id=2)) == "Accepted"
    assert [each.id for each in charger.model.station.profiles] == [2]


async def test_the_profile_of_a_start_replaces_one_of_its_level() -> None:
    """As one level of a transaction has one profile (K01.FR.39)."""
    with unconnected("OCPP2.0.1", configuration=EVCONNECTED) as charger:
        charger.model.actions.perform("PlugIn", None)
        transaction = charger.model.station.connectors[0].transaction
        assert transaction is not None
        charger.install(1, 1_000, purpose="TxProfile", transactionId=transaction.id)

        charger.start(1, chargingProfile=charger.profile(3_000, id=2, purpose="TxProfile"))

        assert charger.power_w() == 3_000
        assert [profile.id for profile in charger.model.station.profiles] == [2]


async def test_reports_of_profiles_are_bounded_and_name_the_transaction(charger_201: Unconnected) -> None:
    """K09: each report is about one EVSE, all but the last are to be continued."""
    charger = charger_201
    charger.start(1, chargingProfile=charger.profile(3_000, id=99, purpose="TxProfile"))
    for level in range(12):
        charger.install(2, id=level, level=level)

    def reports(criteria: Fields, **place: Any) -> list[Fields]:
        request = {"requestId": 5, "chargingProfile": criteria, **place}
        answer = charger.answer("GetChargingProfiles", request)
        found = [
            message.payload
            for message in charger.model.delivery.outbox._messages
            if message.action == "ReportChargingProfiles"
        ]
        for message in list(charger.model.delivery.outbox._messages):
            charger.model.delivery.outbox.remove(message)
        assert (answer["status"] == "Accepted") == bool(found)
        return found

    every = reports({})
    assert [(each["evseId"], len(each["chargingProfile"]), each["tbc"]) for each in every] == [
        (1, 1, True),
        (2, 10, True),
        (2, 2, False),
    ]
    transaction = charger.model.station.connectors[0].transaction
    assert transaction is not None
    assert every[0]["chargingProfile"][0]["transactionId"] == transaction.id
    assert len(reports({"chargingProfileId": [3, 4, 98]})[0]["chargingProfile"]) == 2
    assert reports({"chargingProfileId": [3]}, evseId=1) == []
    assert reports({"chargingLimitSource": ["EMS", "SO"]}) == []
    assert len(reports({"chargingLimitSource": ["EMS", "CSO"], "stackLevel": 0})) == 2
    assert [each["evseId"] for each in reports({"chargingProfilePurpose": "TxProfile"}, evseId=1)] == [1]


async def test_profiles_survive_a_restart_as_they_were(charger: Unconnected) -> None:
    """But not the TxProfile of a transaction, or of a remote start, that the restart has ended."""
    check = '{"AuthorizeRemoteTxRequests": "true"}'
    name = "OCPP1.6" if charger.is_16 else "OCPP2.0.1"
    with unconnected(name, configuration=check) as earlier:
        fields = {} if earlier.is_16 else ABSOLUTE
        earlier.install(0, 9_000, purpose="Max", then=[later(100, 8_000)], **fields)
        earlier.install(1, 7_000, id=2)
        earlier.start(2, chargingProfile=earlier.profile(id=3, purpose="TxProfile"))
        state = json.loads(json.dumps(earlier.model.describe() | {"clean": False}))
        assert [profile.id for profile in earlier.model.station.profiles] == [1, 2, 3]
        negative = earlier.profile(-1.0, id=4, level=9)
        state["profiles"].append([negative, 1, None])
        before = earlier.composite(0, 300)

    charger.model.recall(state)

    assert [profile.id for profile in charger.model.station.profiles] == [1, 2]
    assert charger.composite(0, 300)["chargingSchedulePeriod"][0] == before["chargingSchedulePeriod"][0]
    assert len(charger.composite(0, 300)["chargingSchedulePeriod"]) == 2
