"""OCPP 1.6, message by message: the answer, what it does to the model, and what the CSMS then hears."""

from collections.abc import Awaitable
from typing import Any

import pytest

from simulator.clock import format_time, parse_time
from tests.simulator.charger import LocalCharger
from tests.simulator.csms import NOW, Csms, Payload, call16, until
from tests.simulator.talk import Decorator, Talk, in_seconds, scenario_of


def charger_test(**environment: object) -> Decorator:
    return scenario_of("OCPP1.6", **environment)


# Core: transactions


@charger_test()
async def test_a_remote_start_plugs_the_car_in_and_charges_until_the_remote_stop(talk: Talk) -> None:
    started = await talk.start()

    assert started["id_tag"] == "TAG"
    assert started["connector_id"] == 1
    assert talk.connector.power_w == 22_000
    assert [said["status"] for said in talk.link.all("StatusNotification")][:1] == ["Preparing"]
    await talk.status("Charging")
    assert (await talk.ask("RemoteStopTransaction", transaction_id=4711)).status == "Accepted"
    stopped = await talk.link.next("StopTransaction")
    assert (stopped["transaction_id"], stopped["reason"]) == (4711, "Remote")
    assert stopped["meter_stop"] >= started["meter_start"]
    await talk.status("Finishing")
    assert await talk.script("Unplug") == "Accepted"
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
async def test_a_remote_start_that_cannot_be_is_rejected(fields: Payload) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        assert (await talk.ask("RemoteStartTransaction", **fields)).status == "Rejected"
        assert talk.link.all("StartTransaction") == []

    await scenario()


@charger_test()
async def test_a_second_remote_start_takes_the_other_connector_and_a_third_is_rejected(talk: Talk) -> None:
    await talk.start()

    assert (await talk.ask("RemoteStartTransaction", id_tag="TWO")).status == "Accepted"
    assert (await talk.ask("RemoteStartTransaction", id_tag="THREE")).status == "Rejected"

    assert (await talk.link.next("StartTransaction"))["connector_id"] == 2
    assert (await talk.ask("RemoteStopTransaction", transaction_id=1)).status == "Rejected"


@charger_test(configuration='{"AuthorizeRemoteTxRequests": "true"}')
async def test_a_remote_start_is_authorized_first_where_that_is_configured(talk: Talk) -> None:
    talk.csms.answers["Authorize"] = {"id_tag_info": {"status": "Blocked"}}

    assert (await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Accepted"

    assert (await talk.link.next("Authorize"))["id_tag"] == "TAG"
    await talk.status("Preparing")
    await talk.status("Available")
    assert talk.link.all("StartTransaction") == []


@charger_test(ev_plug_in_s="never", configuration='{"ConnectionTimeOut": "1"}')
async def test_an_authorization_ends_when_no_car_comes(talk: Talk) -> None:
    await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)
    await talk.status("Preparing")

    await talk.status("Available")

    assert talk.connector.token is None
    assert talk.link.all("StartTransaction") == []


@charger_test()
async def test_a_shown_tag_is_authorized_starts_and_ends_its_transaction(talk: Talk) -> None:
    assert await talk.script("PlugIn") == "Accepted"
    assert await talk.script("PresentToken", '{"idToken": "CARD"}') == "Accepted"

    assert (await talk.link.next("Authorize"))["id_tag"] == "CARD"
    assert (await talk.link.next("StartTransaction"))["id_tag"] == "CARD"
    await talk.status("Charging")
    assert await talk.script("PresentToken", '{"idToken": "ANOTHER"}') == "Rejected"
    assert await talk.script("PresentToken", '{"idToken": "CARD"}') == "Accepted"
    stopped = await talk.link.next("StopTransaction")
    assert (stopped["reason"], stopped["id_tag"]) == ("Local", "CARD")


@charger_test()
async def test_a_car_that_leaves_ends_its_transaction(talk: Talk) -> None:
    await talk.start()

    await talk.script("Unplug")

    assert (await talk.link.next("StopTransaction"))["reason"] == "EVDisconnected"
    await talk.status("Available")


@charger_test(configuration='{"StopTransactionOnEVSideDisconnect": "false"}')
async def test_a_transaction_outlives_the_cable_where_that_is_configured(talk: Talk) -> None:
    await talk.start()

    await talk.script("Unplug")

    await talk.status("SuspendedEV")
    assert talk.connector.transaction is not None
    await talk.script("PlugIn")
    await talk.status("Charging")


@charger_test()
async def test_a_token_that_the_start_is_refused_for_is_deauthorized(talk: Talk) -> None:
    talk.csms.answers["StartTransaction"] = {"transaction_id": 9, "id_tag_info": {"status": "Blocked"}}

    await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    stopped = await talk.link.next("StopTransaction")
    assert (stopped["transaction_id"], stopped["reason"]) == (9, "DeAuthorized")
    assert talk.connector.power_w == 0


@charger_test(max_power_w=3_600_000, configuration='{"MaxEnergyOnInvalidId": "100"}')
async def test_a_refused_token_may_draw_what_is_configured(talk: Talk) -> None:
    """3.6 MW is 1 kWh per second."""
    talk.csms.answers["StartTransaction"] = {"transaction_id": 9, "id_tag_info": {"status": "Invalid"}}

    await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    stopped = await talk.link.next("StopTransaction")
    assert stopped["reason"] == "DeAuthorized"
    assert 100 <= stopped["meter_stop"] < 250


@charger_test(max_power_w=3_600_000, ev_energy_wh=100, ev_unplug_s=0.05)
async def test_a_car_that_is_full_stops_drawing_and_leaves(talk: Talk) -> None:
    await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)

    await talk.status("SuspendedEV")
    stopped = await talk.link.next("StopTransaction")

    assert stopped["reason"] == "EVDisconnected"
    assert stopped["meter_stop"] == 100
    await talk.status("Available")


@charger_test()
async def test_a_car_may_stop_asking_for_energy_and_ask_again(talk: Talk) -> None:
    await talk.start()

    await talk.script("StopEnergy")
    await talk.status("SuspendedEV")
    assert talk.connector.power_w == 0
    await talk.script("RequestEnergy")

    await until(lambda: talk.connector.power_w == 22_000)


@charger_test(
    visitor_every_s=0.1, visitor_id_tag="VISITOR", max_power_w=3_600_000, ev_energy_wh=50, ev_unplug_s=0
)
async def test_drivers_come_by_themselves_where_that_is_configured(talk: Talk) -> None:
    assert (await talk.link.next("Authorize"))["id_tag"] == "VISITOR"
    await talk.link.next("StartTransaction")
    await talk.link.next("StopTransaction")
    await talk.link.next("StartTransaction")


# Core: meter values


@charger_test(
    configuration='{"MeterValueSampleInterval": 1, "MeterValuesSampledData": "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,Power.Offered,Current.Offered"}'
)
async def test_meter_values_follow_the_power_and_the_interval(talk: Talk) -> None:
    await talk.start()
    await talk.script("SetPower", '{"powerW": 6900}')

    first = await talk.link.next("MeterValues")
    second = await talk.link.next("MeterValues")

    assert first["transaction_id"] == 4711
    values = {v["measurand"]: v["value"] for v in first["meter_value"][0]["sampled_value"]}
    assert values["Power.Active.Import"] == "6900"
    assert values["Current.Import"] == "10"
    assert values["Voltage"] == "230"
    assert values["Power.Offered"] == "22000"
    assert all(v["context"] == "Sample.Periodic" for v in first["meter_value"][0]["sampled_value"])
    moments = [parse_time(said["meter_value"][0]["timestamp"]) for said in (first, second)]
    assert moments[1] - moments[0] == pytest.approx(1, abs=0.3)


@charger_test(configuration='{"ClockAlignedDataInterval": 1}')
async def test_clock_aligned_values_are_told_of_idle_connectors_too(talk: Talk) -> None:
    told = [await talk.link.next("MeterValues") for _ in range(2)]

    assert {said["connector_id"] for said in told} == {1, 2}
    assert all("transaction_id" not in said for said in told)
    assert told[0]["meter_value"][0]["sampled_value"][0]["context"] == "Sample.Clock"
    assert parse_time(told[0]["meter_value"][0]["timestamp"]) % 1 < 0.3


@charger_test(
    connector_type="CCS2", configuration='{"StopTxnSampledData": "Energy.Active.Import.Register,SoC"}'
)
async def test_a_stop_carries_the_readings_of_its_beginning_and_its_end(talk: Talk) -> None:
    await talk.start()
    await talk.ask("RemoteStopTransaction", transaction_id=4711)

    data = (await talk.link.next("StopTransaction"))["transaction_data"]

    contexts = [value["context"] for reading in data for value in reading["sampled_value"]]
    assert contexts == ["Transaction.Begin"] * 2 + ["Transaction.End"] * 2
    assert {value["measurand"] for value in data[0]["sampled_value"]} == {
        "Energy.Active.Import.Register",
        "SoC",
    }


# Core: configuration and the rest


@charger_test()
async def test_configuration_is_read_changed_and_refused_key_by_key(talk: Talk) -> None:
    answer = await talk.ask("GetConfiguration", key=["HeartbeatInterval", "NumberOfConnectors", "Nonsense"])

    assert answer.unknown_key == ["Nonsense"]
    keys = {entry["key"]: entry for entry in answer.configuration_key}
    assert keys["HeartbeatInterval"] == {"key": "HeartbeatInterval", "readonly": False, "value": "300"}
    assert keys["NumberOfConnectors"] == {"key": "NumberOfConnectors", "readonly": True, "value": "2"}
    everything = await talk.ask("GetConfiguration")
    assert len(everything.configuration_key) > 30


@pytest.mark.parametrize(
    ("key", "value", "status"),
    [
        ("HeartbeatInterval", "17", "Accepted"),
        ("MeterValuesSampledData", "Voltage,SoC", "Accepted"),
        ("AuthorizationCacheEnabled", "False", "Accepted"),
        ("HeartbeatInterval", "-1", "Rejected"),
        ("HeartbeatInterval", "often", "Rejected"),
        ("MeterValuesSampledData", "Voltage,Colour", "Rejected"),
        ("AuthorizationCacheEnabled", "maybe", "Rejected"),
        ("NumberOfConnectors", "5", "Rejected"),
        ("Nonsense", "1", "NotSupported"),
    ],
)
async def test_a_configuration_change_is_checked(key: str, value: str, status: str) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        assert (await talk.ask("ChangeConfiguration", key=key, value=value)).status == status
        if status == "Accepted":
            (entry,) = (await talk.ask("GetConfiguration", key=[key])).configuration_key
            assert entry["value"] == value.lower() if key.endswith("Enabled") else value

    await scenario()


@charger_test()
async def test_a_changed_heartbeat_interval_counts_at_once(talk: Talk) -> None:
    await talk.ask("ChangeConfiguration", key="HeartbeatInterval", value="1")

    await talk.link.next("Heartbeat")


@charger_test(password="OLD")
async def test_a_changed_password_counts_at_the_next_connection_and_is_not_printed(talk: Talk) -> None:
    await talk.ask("ChangeConfiguration", key="AuthorizationKey", value="N3W-S3CRET")
    await talk.link.socket.close()
    await talk.csms.link(2)

    assert talk.csms.requests[0].headers["Authorization"] != talk.csms.requests[1].headers["Authorization"]
    assert "N3W-S3CRET" not in str(talk.charger.events)
    (entry,) = (
        await talk.csms.links[1].ask(call16.GetConfiguration(key=["AuthorizationKey"]))
    ).configuration_key
    assert "value" not in entry


@charger_test()
async def test_an_inoperative_connector_is_unavailable_and_starts_nothing(talk: Talk) -> None:
    assert (await talk.ask("ChangeAvailability", connector_id=1, type="Inoperative")).status == "Accepted"
    await talk.status("Unavailable")

    assert (await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Rejected"
    assert (await talk.ask("ChangeAvailability", connector_id=1, type="Operative")).status == "Accepted"
    await talk.status("Available")
    assert (await talk.ask("ChangeAvailability", connector_id=9, type="Operative")).status == "Rejected"


@charger_test()
async def test_availability_of_the_whole_charger_waits_for_its_transactions(talk: Talk) -> None:
    await talk.start()

    assert (await talk.ask("ChangeAvailability", connector_id=0, type="Inoperative")).status == "Scheduled"
    await talk.status("Unavailable", connector_id=2)
    await talk.ask("RemoteStopTransaction", transaction_id=4711)

    await talk.status("Unavailable", connector_id=1)
    await talk.status("Unavailable", connector_id=0)


@charger_test()
async def test_data_of_another_vendor_is_not_known(talk: Talk) -> None:
    assert (await talk.ask("DataTransfer", vendor_id="somebody")).status == "UnknownVendorId"
    assert await talk.script("Dance") == "UnknownMessageId"
    assert await talk.script("PlugIn", "[") == "Rejected"
    assert await talk.script("PlugIn", '{"connector": 7}') == "Rejected"
    assert await talk.script("SetPower", "{}") == "Rejected"


@charger_test()
async def test_the_model_can_be_read_by_data_transfer(talk: Talk) -> None:
    await talk.start()

    answer = await talk.ask("DataTransfer", vendor_id="chargehand", message_id="State")

    assert '"plugged": true, "authorized": "TAG"' in answer.data
    assert '"powerW": 22000' in answer.data


@charger_test()
async def test_unlocking_ends_the_transaction_of_the_connector(talk: Talk) -> None:
    await talk.start()

    assert (await talk.ask("UnlockConnector", connector_id=1)).status == "Unlocked"

    assert (await talk.link.next("StopTransaction"))["reason"] == "UnlockCommand"
    assert (await talk.ask("UnlockConnector", connector_id=3)).status == "NotSupported"
    await talk.script("Fault", '{"fault": "ConnectorLockFailure"}')
    assert (await talk.ask("UnlockConnector", connector_id=1)).status == "UnlockFailed"


@charger_test()
async def test_a_fault_ends_the_transaction_and_is_reported_until_it_is_cleared(talk: Talk) -> None:
    await talk.start()

    await talk.script("Fault", '{"fault": "OverCurrentFailure"}')

    assert (await talk.status("Faulted"))["error_code"] == "OverCurrentFailure"
    assert (await talk.link.next("StopTransaction"))["reason"] == "Other"
    assert (await talk.ask("RemoteStartTransaction", id_tag="TAG", connector_id=1)).status == "Rejected"
    await talk.script("ClearFault")
    await talk.status("Finishing")


@pytest.mark.parametrize(("kind", "reason"), [("Soft", "SoftReset"), ("Hard", "HardReset")])
async def test_a_reset_ends_transactions_and_boots_again(kind: str, reason: str) -> None:
    @charger_test(reboot_s=0.05)
    async def scenario(talk: Talk) -> None:
        await talk.start()

        assert (await talk.ask("Reset", type=kind)).status == "Accepted"

        again = await talk.csms.link(2)
        await again.next("BootNotification")
        stopped = await (talk.link if kind == "Soft" else again).next("StopTransaction")
        assert stopped["reason"] == reason
        await talk.charger.connection("disconnected", "reset")

    await scenario()


# Local authorization list and cache


@charger_test(configuration='{"LocalPreAuthorize": "true"}')
async def test_a_local_list_authorizes_without_asking(talk: Talk) -> None:
    entries = [
        {"id_tag": "GOOD", "id_tag_info": {"status": "Accepted"}},
        {"id_tag": "BAD", "id_tag_info": {"status": "Blocked"}},
    ]
    answer = await talk.ask(
        "SendLocalList", list_version=3, update_type="Full", local_authorization_list=entries
    )
    assert answer.status == "Accepted"
    assert (await talk.ask("GetLocalListVersion")).list_version == 3

    await talk.script("PlugIn")
    await talk.script("PresentToken", '{"idToken": "good"}')

    await talk.link.next("StartTransaction")
    assert talk.link.all("Authorize") == []


@charger_test()
async def test_a_local_list_is_updated_in_steps(talk: Talk) -> None:
    async def send(version: int, kind: str, *entries: Payload) -> str:
        answer = await talk.ask(
            "SendLocalList", list_version=version, update_type=kind, local_authorization_list=list(entries)
        )
        return str(answer.status)

    good = {"id_tag": "GOOD", "id_tag_info": {"status": "Accepted"}}
    assert await send(3, "Full", good) == "Accepted"
    assert await send(3, "Differential", good) == "VersionMismatch"
    assert await send(4, "Differential", {"id_tag": "GOOD"}) == "Accepted"
    assert talk.model.authorizer.local_list == {}
    too_many = [{"id_tag": f"T{n}", "id_tag_info": {"status": "Accepted"}} for n in range(1001)]
    assert await send(5, "Full", *too_many) == "Failed"
    await talk.ask("ChangeConfiguration", key="LocalAuthListEnabled", value="false")
    assert await send(6, "Full") == "NotSupported"
    assert (await talk.ask("GetLocalListVersion")).list_version == -1


@charger_test(configuration='{"LocalPreAuthorize": "true"}')
async def test_the_cache_spares_a_question_until_it_is_cleared(talk: Talk) -> None:
    await talk.script("PresentToken", '{"idToken": "CARD"}')
    await talk.link.next("Authorize")
    await until(lambda: "card" in talk.model.authorizer.cache)

    await talk.script("PresentToken", '{"idToken": "CARD", "connector": 2}')
    await until(lambda: talk.model.station.connectors[1].token)
    assert len(talk.link.all("Authorize")) == 1
    assert (await talk.ask("ClearCache")).status == "Accepted"

    assert talk.model.authorizer.cache == {}
    await talk.ask("ChangeConfiguration", key="AuthorizationCacheEnabled", value="false")
    assert (await talk.ask("ClearCache")).status == "Rejected"


@charger_test()
async def test_a_card_of_the_same_group_ends_a_transaction(talk: Talk) -> None:
    info = {"status": "Accepted", "parent_id_tag": "FAMILY"}
    talk.csms.answers["Authorize"] = {"id_tag_info": info}
    entries = [{"id_tag": "CHILD", "id_tag_info": info}]
    await talk.ask("SendLocalList", list_version=1, update_type="Full", local_authorization_list=entries)
    await talk.script("PlugIn")
    await talk.script("PresentToken", '{"idToken": "PARENT"}')
    await talk.link.next("StartTransaction")

    assert await talk.script("PresentToken", '{"idToken": "CHILD"}') == "Accepted"

    assert (await talk.link.next("StopTransaction"))["id_tag"] == "CHILD"


# Remote trigger


@pytest.mark.parametrize(
    ("message", "action"),
    [
        ("BootNotification", "BootNotification"),
        ("DiagnosticsStatusNotification", "DiagnosticsStatusNotification"),
        ("FirmwareStatusNotification", "FirmwareStatusNotification"),
        ("Heartbeat", "Heartbeat"),
        ("MeterValues", "MeterValues"),
        ("StatusNotification", "StatusNotification"),
    ],
)
async def test_each_message_can_be_triggered(message: str, action: str) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        answer = await talk.ask("TriggerMessage", requested_message=message, connector_id=1)

        assert answer.status == "Accepted"
        await talk.link.next(action)
        # The answer leaves first (OCPP 1.6 part 1, 5.17).
        assert '"Accepted"' in talk.link.frames[-2]

    await scenario()


@charger_test()
async def test_nothing_is_triggered_on_a_connector_that_does_not_exist(talk: Talk) -> None:
    answer = await talk.ask("TriggerMessage", requested_message="StatusNotification", connector_id=3)

    assert answer.status == "Rejected"


async def test_a_pending_charger_sends_what_is_triggered_and_nothing_else() -> None:
    async with Csms() as csms:
        statuses = ["Pending", "Accepted"]
        csms.answers["BootNotification"] = lambda _: {
            "current_time": NOW,
            "interval": 600,
            "status": statuses.pop(0),
        }
        async with LocalCharger(csms.url) as charger:
            link = await csms.link()
            await charger.connection("connected", "boot_pending")

            await link.ask(call16.TriggerMessage(requested_message="StatusNotification", connector_id=1))
            await link.next("StatusNotification")
            start = await link.ask(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
            assert start.status == "Rejected"
            assert len(link.calls) == 2
            await link.ask(call16.TriggerMessage(requested_message="BootNotification"))

            await charger.connection("accepted")


# Reservation


@charger_test()
async def test_a_reservation_keeps_a_connector_for_its_tag(talk: Talk) -> None:
    fields = {"connector_id": 1, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.ask("ReserveNow", **fields)).status == "Accepted"
    await talk.status("Reserved")

    assert (await talk.ask("RemoteStartTransaction", id_tag="THEIRS", connector_id=1)).status == "Rejected"
    assert (await talk.ask("ReserveNow", **fields | {"reservation_id": 6})).status == "Occupied"
    assert (await talk.ask("RemoteStartTransaction", id_tag="MINE", connector_id=1)).status == "Accepted"

    assert (await talk.link.next("StartTransaction"))["reservation_id"] == 5
    assert talk.model.station.reservations.by_id == {}


@charger_test()
async def test_a_reservation_is_cancelled_once(talk: Talk) -> None:
    fields = {"connector_id": 1, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    await talk.ask("ReserveNow", **fields)
    await talk.status("Reserved")

    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Accepted"

    await talk.status("Available")
    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Rejected"


@charger_test()
async def test_a_reservation_expires(talk: Talk) -> None:
    fields = {"connector_id": 1, "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.ask("ReserveNow", expiry_date=in_seconds(-1), **fields)).status == "Rejected"
    soon = format_time(talk.model.clock.now() + 0.3)

    assert (await talk.ask("ReserveNow", expiry_date=soon, **fields)).status == "Accepted"

    await talk.status("Reserved")
    await talk.status("Available")


@charger_test(connectors=2)
async def test_a_reservation_of_any_connector_leaves_one_for_its_tag(talk: Talk) -> None:
    fields = {"connector_id": 0, "expiry_date": in_seconds(600), "id_tag": "MINE", "reservation_id": 5}
    assert (await talk.ask("ReserveNow", **fields)).status == "Accepted"

    assert (await talk.ask("RemoteStartTransaction", id_tag="ONE")).status == "Accepted"
    assert (await talk.ask("RemoteStartTransaction", id_tag="TWO")).status == "Rejected"
    assert (await talk.ask("RemoteStartTransaction", id_tag="MINE")).status == "Accepted"


@pytest.mark.parametrize(
    ("prepare", "status"),
    [("Fault", "Faulted"), ("PlugIn", "Occupied"), ("", "Unavailable")],
)
async def test_a_connector_that_is_not_free_cannot_be_reserved(prepare: str, status: str) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        if prepare:
            await talk.script(prepare)
        else:
            await talk.ask("ChangeAvailability", connector_id=1, type="Inoperative")

        answer = await talk.ask(
            "ReserveNow", connector_id=1, expiry_date=in_seconds(600), id_tag="MINE", reservation_id=5
        )

        assert answer.status == status

    await scenario()


# Smart charging


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


@charger_test()
async def test_the_drawn_power_follows_the_profiles(talk: Talk) -> None:
    async def install(connector_id: int, **given: Any) -> str:
        answer = await talk.ask(
            "SetChargingProfile", connector_id=connector_id, cs_charging_profiles=profile(**given)
        )
        return str(answer.status)

    def clear(**which: Any) -> Awaitable[Any]:
        return talk.ask("ClearChargingProfile", **which)

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
    await talk.ask("RemoteStopTransaction", transaction_id=4711)
    assert [installed.id for installed in talk.model.station.profiles] == [1, 2]


@charger_test()
async def test_the_power_changes_with_the_periods_of_a_profile(talk: Talk) -> None:
    given = profile(4_000, then=[{"start_period": 1, "limit": 8_000}])
    await talk.ask("SetChargingProfile", connector_id=1, cs_charging_profiles=given)
    await talk.start()
    assert talk.connector.power_w == 4_000

    await until(lambda: talk.connector.power_w == 8_000)


@charger_test()
async def test_a_profile_that_comes_with_a_remote_start_is_for_that_transaction(talk: Talk) -> None:
    await talk.start(charging_profile=profile(3_000, purpose="TxProfile"))

    assert talk.connector.power_w == 3_000
    await talk.ask("RemoteStopTransaction", transaction_id=4711)
    assert len(talk.model.station.profiles) == 0


@pytest.mark.parametrize(
    ("connector_id", "given"),
    [
        (3, profile(1)),
        (1, profile(1, purpose="ChargePointMaxProfile")),
        (1, profile(1, purpose="TxProfile")),
        (1, profile(1, level=99)),
        (1, profile(1, then=[{"start_period": 0, "limit": 2}])),
        (1, profile(1, schedule={"start_schedule": "yesterday"})),
    ],
)
async def test_a_profile_that_makes_no_sense_is_rejected(connector_id: int, given: Payload) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        answer = await talk.ask("SetChargingProfile", connector_id=connector_id, cs_charging_profiles=given)

        assert answer.status == "Rejected"
        assert len(talk.model.station.profiles) == 0

    await scenario()


@charger_test()
async def test_a_composite_schedule_shows_what_will_be_allowed(talk: Talk) -> None:
    given = profile(
        11_000,
        kind="Absolute",
        then=[{"start_period": 100, "limit": 6_900}],
        schedule={"start_schedule": in_seconds(-40), "duration": 200},
    )
    await talk.ask("SetChargingProfile", connector_id=0, cs_charging_profiles=given)

    answer = await talk.ask("GetCompositeSchedule", connector_id=1, duration=300, charging_rate_unit="A")

    assert (answer.status, answer.connector_id) == ("Accepted", 1)
    periods = answer.charging_schedule["charging_schedule_period"]
    assert [float(period["limit"]) for period in periods] == [15.9, 10.0, 31.9]
    assert [period["start_period"] for period in periods] == pytest.approx([0, 60, 160], abs=2)
    assert (await talk.ask("GetCompositeSchedule", connector_id=9, duration=1)).status == "Rejected"
    whole = await talk.ask("GetCompositeSchedule", connector_id=0, duration=300)
    assert [float(p["limit"]) for p in whole.charging_schedule["charging_schedule_period"]] == [22_000]


# Firmware management


@charger_test(job_step_s=0.02, reboot_s=0.02)
async def test_a_firmware_update_is_told_step_by_step_and_boots_the_new_one(talk: Talk) -> None:
    await talk.ask("UpdateFirmware", location="https://files.example/fw-2.1.0.bin", retrieve_date=NOW)

    again = await talk.csms.link(2)
    boot = await again.next("BootNotification")

    await again.next("FirmwareStatusNotification")
    steps = [said["status"] for said in talk.link.all("FirmwareStatusNotification")]
    assert steps == ["Downloading", "Downloaded", "Installing"]
    assert again.all("FirmwareStatusNotification") == [{"status": "Installed"}]
    assert boot["firmware_version"] == "fw-2.1.0"


@pytest.mark.parametrize(
    ("location", "last"),
    [("ftp://x/fail-download", "DownloadFailed"), ("ftp://x/fail-install", "InstallationFailed")],
)
async def test_a_firmware_update_can_be_made_to_fail(location: str, last: str) -> None:
    @charger_test(job_step_s=0.02)
    async def scenario(talk: Talk) -> None:
        await talk.ask("UpdateFirmware", location=location, retrieve_date=NOW)

        await talk.link.next("FirmwareStatusNotification", lambda said: said["status"] == last)

        assert talk.model.maintenance.update is None

    await scenario()


@charger_test(job_step_s=0.02)
async def test_an_update_waits_for_the_end_of_a_transaction(talk: Talk) -> None:
    await talk.start()
    await talk.ask("UpdateFirmware", location="https://files.example/fw.bin", retrieve_date=NOW)
    await talk.link.next("FirmwareStatusNotification", lambda said: said["status"] == "Downloaded")

    await talk.ask("RemoteStopTransaction", transaction_id=4711)

    await talk.link.next("FirmwareStatusNotification", lambda said: said["status"] == "Installing")
    actions = [call.action for call in talk.link.calls]
    assert actions.index("StopTransaction") < len(actions) - 1


@pytest.mark.parametrize(
    ("location", "last"), [("ftp://x/logs", "Uploaded"), ("ftp://x/fail-upload", "UploadFailed")]
)
async def test_diagnostics_are_named_and_their_upload_is_told(location: str, last: str) -> None:
    @charger_test(job_step_s=0.02)
    async def scenario(talk: Talk) -> None:
        answer = await talk.ask("GetDiagnostics", location=location)

        assert answer.file_name.endswith(".txt")
        await talk.link.next("DiagnosticsStatusNotification", lambda said: said["status"] == "Uploading")
        await talk.link.next("DiagnosticsStatusNotification", lambda said: said["status"] == last)

    await scenario()
