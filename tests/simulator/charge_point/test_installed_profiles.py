"""Installed charging profiles: replaced, cleared, reported, remembered, and brought by a remote start."""

import json
import time
from typing import Any

import pytest

from simulator.clock import format_time
from tests.simulator.unconnected import NOW, Fields, Unconnected, later, outcome, unconnected


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
            (1, {"validTo": format_time(NOW + 86_400)}),
            (1, {"id": 2, "validFrom": format_time(NOW + 86_400)}),
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
        charger.model.data_transfer.perform("PlugIn", None)

        charger.start(1, chargingProfile=charger.profile(3_000, purpose="TxProfile"))

        assert charger.power_w() == 3_000


async def test_profiles_hold_while_the_charger_is_offline(charger: Unconnected) -> None:
    """2.0.1, K06 and K07: in a transaction that runs, and in one that starts offline."""
    charger.install(1, 6_000)
    charger.install(2, 3_000, id=2)
    charger.start(1)

    charger.model.online = False
    charger.model.options.set("accept_unknown_offline", "true")
    charger.model.data_transfer.perform("PlugIn", {"connector": 2})
    charger.model.data_transfer.perform("PresentToken", {"connector": 2, "idToken": "OTHER"})

    assert (charger.power_w(1), charger.power_w(2)) == (6_000, 3_000)


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
    charger.install(1, validTo=format_time(NOW + 86_400))
    (profile,) = charger.model.station.profiles
    profile.valid_to = NOW - 1

    assert outcome(charger, charger.install(1, id=2)) == "Accepted"
    assert [each.id for each in charger.model.station.profiles] == [2]


async def test_the_profile_of_a_start_replaces_one_of_its_level() -> None:
    """As one level of a transaction has one profile (K01.FR.39)."""
    with unconnected("OCPP2.0.1", configuration=EVCONNECTED) as charger:
        charger.model.data_transfer.perform("PlugIn", None)
        transaction = charger.model.station.connectors[0].transaction
        assert transaction is not None
        charger.install(1, 1_000, purpose="TxProfile", transactionId=transaction.id)

        charger.start(1, chargingProfile=charger.profile(3_000, id=2, purpose="TxProfile"))

        assert charger.power_w() == 3_000
        assert [profile.id for profile in charger.model.station.profiles] == [2]


async def test_reports_of_profiles_are_bounded_and_name_the_transaction(charger_201: Unconnected) -> None:
    """K09: each report is about one EVSE, all but the last are to be continued."""
    charger = charger_201
    charger.start(1, plug=False, chargingProfile=charger.profile(3_000, id=99, purpose="TxProfile"))
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

    (early,) = reports({"chargingProfileId": [99]})
    assert "transactionId" not in early["chargingProfile"][0]
    charger.model.data_transfer.perform("PlugIn", None)
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
        begins_now = {"kind": "Absolute", "schedule": {"startSchedule": format_time(time.time())}}
        fields = {} if earlier.is_16 else begins_now
        earlier.install(0, 9_000, purpose="Max", then=[later(50_000, 8_000)], **fields)
        earlier.install(1, 7_000, id=2)
        earlier.start(2, chargingProfile=earlier.profile(id=3, purpose="TxProfile"))
        state = json.loads(json.dumps(earlier.model.describe() | {"clean": False}))
        assert [profile.id for profile in earlier.model.station.profiles] == [1, 2, 3]
        negative = earlier.profile(-1.0, id=4, level=9)
        state["profiles"].append([negative, 1, None])
        before = earlier.composite(0, 86_400)

    charger.model.recall(state)

    assert [profile.id for profile in charger.model.station.profiles] == [1, 2]
    assert charger.composite(0, 86_400)["chargingSchedulePeriod"][0] == before["chargingSchedulePeriod"][0]
    assert len(charger.composite(0, 86_400)["chargingSchedulePeriod"]) == 2
