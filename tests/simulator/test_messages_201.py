"""OCPP 2.0.1, message by message: the answer, what it does to the model, and what the CSMS then hears."""

from collections.abc import Awaitable
from itertools import pairwise
from typing import Any

import pytest

from simulator.clock import format_time, parse_time
from tests.simulator.charger import LocalCharger
from tests.simulator.csms import NOW, Csms, Payload, call201, until
from tests.simulator.talk import TOKEN, Decorator, Talk, in_seconds, scenario_of


def charger_test(**environment: object) -> Decorator:
    return scenario_of("OCPP2.0.1", **environment)


def triggers(talk: Talk) -> list[tuple[str, str]]:
    return [(said["event_type"], said["trigger_reason"]) for said in talk.link.all("TransactionEvent")]


async def request_stop(talk: Talk) -> str:
    assert talk.connector.transaction is not None
    answer = await talk.ask("RequestStopTransaction", transaction_id=talk.connector.transaction.id)
    return str(answer.status)


# Transactions


@charger_test()
async def test_a_requested_start_charges_until_the_requested_stop(talk: Talk) -> None:
    started = await talk.start()

    assert started["transaction_info"]["remote_start_id"] == 7
    assert started["id_token"] == TOKEN
    assert started["evse"] == {"id": 1, "connector_id": 1}
    assert (await talk.event("Updated", "ChargingStateChanged"))["transaction_info"][
        "charging_state"
    ] == "Charging"
    await talk.status("Occupied")
    assert await request_stop(talk) == "Accepted"
    ended = await talk.event("Ended")
    assert (ended["trigger_reason"], ended["transaction_info"]["stopped_reason"]) == ("RemoteStop", "Remote")
    contexts = [reading["sampled_value"][0]["context"] for reading in ended["meter_value"]]
    assert contexts == ["Transaction.Begin", "Transaction.End"]
    numbers = [said["seq_no"] for said in talk.link.all("TransactionEvent")]
    assert numbers == list(range(len(numbers)))
    assert (
        len({said["transaction_info"]["transaction_id"] for said in talk.link.all("TransactionEvent")}) == 1
    )
    await talk.script("Unplug")
    await talk.status("Available")


@pytest.mark.parametrize(
    ("point", "expected"),
    [
        ("PowerPathClosed", [("Started", "CablePluggedIn")]),
        ("Authorized", [("Started", "RemoteStart"), ("Updated", "CablePluggedIn")]),
    ],
)
async def test_a_transaction_starts_at_the_configured_point(
    point: str, expected: list[tuple[str, str]]
) -> None:
    @charger_test(configuration=f'{{"TxCtrlr.TxStartPoint": "{point}"}}')
    async def scenario(talk: Talk) -> None:
        await talk.start()
        await talk.event("Updated", "ChargingStateChanged")

        assert triggers(talk) == [*expected, ("Updated", "ChargingStateChanged")]

    await scenario()


@charger_test(configuration='{"TxCtrlr.TxStartPoint": "EVConnected", "TxCtrlr.TxStopPoint": "EVConnected"}')
async def test_a_transaction_can_last_from_plug_to_unplug(talk: Talk) -> None:
    await talk.script("PlugIn")
    started = await talk.event("Started", "CablePluggedIn")
    assert started["transaction_info"]["charging_state"] == "EVConnected"
    assert "id_token" not in started

    answer = await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=8)
    assert answer.transaction_id == started["transaction_info"]["transaction_id"]
    assert (await talk.event("Updated", "RemoteStart"))["id_token"] == TOKEN
    await talk.event("Updated", "ChargingStateChanged")
    assert await request_stop(talk) == "Accepted"
    assert (await talk.event("Updated", "RemoteStop"))["transaction_info"]["charging_state"] == "EVConnected"
    assert talk.connector.power_w == 0
    await talk.script("Unplug")

    ended = await talk.event("Ended", "EVCommunicationLost")
    assert ended["transaction_info"]["stopped_reason"] == "EVDisconnected"


@charger_test(
    configuration='{"TxCtrlr.TxStartPoint": "Authorized", "TxCtrlr.EVConnectionTimeOut": 1}',
    ev_plug_in_s="never",
)
async def test_a_transaction_without_a_car_times_out(talk: Talk) -> None:
    await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=8)

    ended = await talk.event("Ended", "EVConnectTimeout")

    assert ended["transaction_info"]["stopped_reason"] == "Timeout"


@charger_test()
async def test_a_shown_token_is_authorized_starts_and_ends_its_transaction(talk: Talk) -> None:
    await talk.script("PlugIn")
    await talk.script("PresentToken", '{"idToken": "CARD", "type": "ISO15693"}')
    assert (await talk.link.next("Authorize"))["id_token"] == {"id_token": "CARD", "type": "ISO15693"}
    assert (await talk.event("Started", "Authorized"))["id_token"]["id_token"] == "CARD"

    await talk.script("PresentToken", '{"idToken": "CARD"}')

    ended = await talk.event("Ended", "StopAuthorized")
    assert (ended["transaction_info"]["stopped_reason"], ended["id_token"]["id_token"]) == ("Local", "CARD")


@charger_test()
async def test_a_token_that_the_csms_refuses_ends_its_transaction(talk: Talk) -> None:
    talk.csms.answers["TransactionEvent"] = lambda said: (
        {"id_token_info": {"status": "Blocked"}} if said["event_type"] == "Started" else {}
    )

    await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)

    ended = await talk.event("Ended", "Deauthorized")
    assert ended["transaction_info"]["stopped_reason"] == "DeAuthorized"


@charger_test(configuration='{"AuthCtrlr.AuthorizeRemoteStart": "true"}')
async def test_a_requested_start_is_authorized_first_where_that_is_configured(talk: Talk) -> None:
    talk.csms.answers["Authorize"] = {"id_token_info": {"status": "Expired"}}

    assert (await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)).status == "Accepted"

    await talk.link.next("Authorize")
    await until(lambda: not talk.connector.claimed)
    assert talk.link.all("TransactionEvent") == []


@charger_test()
async def test_requests_about_nothing_are_rejected(talk: Talk) -> None:
    start: Payload = {"id_token": TOKEN, "remote_start_id": 7}

    assert (await talk.ask("RequestStartTransaction", evse_id=3, **start)).status == "Rejected"
    assert (await talk.ask("RequestStopTransaction", transaction_id="none")).status == "Rejected"
    status = await talk.ask("GetTransactionStatus", transaction_id="none")
    assert (status.ongoing_indicator, status.messages_in_queue) == (False, False)


@charger_test()
async def test_the_status_of_a_transaction_is_told(talk: Talk) -> None:
    started = await talk.start()
    transaction_id = started["transaction_info"]["transaction_id"]
    await talk.event("Updated")

    status = await talk.ask("GetTransactionStatus", transaction_id=transaction_id)

    assert status.ongoing_indicator is True
    assert (await talk.ask("GetTransactionStatus")).messages_in_queue is False


@charger_test(max_power_w=3_600_000, ev_energy_wh=100, ev_unplug_s=0.05)
async def test_a_car_that_is_full_stops_drawing_and_leaves(talk: Talk) -> None:
    await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=7)

    full = await talk.link.next(
        "TransactionEvent", lambda said: said["transaction_info"].get("charging_state") == "SuspendedEV"
    )
    ended = await talk.event("Ended")

    assert full["trigger_reason"] == "ChargingStateChanged"
    assert ended["meter_value"][-1]["sampled_value"][0]["value"] == 100


# Meter values


@charger_test(
    connector_type="CCS2",
    max_power_w=150_000,
    configuration='{"SampledDataCtrlr.TxUpdatedInterval": 1, "SampledDataCtrlr.TxUpdatedMeasurands": "Power.Active.Import,Current.Import,Voltage,SoC"}',
)
async def test_meter_values_follow_the_power_and_the_interval(talk: Talk) -> None:
    await talk.start()
    await talk.script("SetPower", '{"powerW": 40000}')
    await talk.event("Updated", "ChargingRateChanged")

    told = [await talk.event("Updated", "MeterValuePeriodic") for _ in range(2)]

    values = {v["measurand"]: v["value"] for v in told[0]["meter_value"][0]["sampled_value"]}
    assert values["Power.Active.Import"] == 40_000
    assert values["Current.Import"] == 100
    assert values["Voltage"] == 400
    assert 60 < values["SoC"] < 75
    earlier, later = (parse_time(said["timestamp"]) for said in told)
    assert later - earlier == pytest.approx(1, abs=0.3)


@charger_test(configuration='{"AlignedDataCtrlr.Interval": 1}')
async def test_clock_aligned_values_come_with_and_without_a_transaction(talk: Talk) -> None:
    assert (await talk.link.next("MeterValues"))["evse_id"] == 1
    await talk.start()

    told = await talk.event("Updated", "MeterValueClock")

    assert told["meter_value"][0]["sampled_value"][0]["context"] == "Sample.Clock"


# The device model


def variable(component: str, name: str, instance: str | None = None, evse_id: int | None = None) -> Payload:
    place: Payload = {"component": {"name": component}, "variable": {"name": name}}
    if instance:
        place["variable"]["instance"] = instance
    if evse_id:
        place["component"]["evse"] = {"id": evse_id}
    return place


@pytest.mark.parametrize(
    ("wish", "status", "value"),
    [
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "Accepted", "300"),
        (variable("ocppcommctrlr", "heartbeatinterval"), "Accepted", "300"),
        (variable("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), "Accepted", "3"),
        (variable("EVSE", "AvailabilityState", evse_id=2), "Accepted", "Available"),
        (variable("ChargingStation", "Model"), "Accepted", "Simulator"),
        (variable("LocalAuthListCtrlr", "Entries"), "Accepted", "0"),
        (variable("SecurityCtrlr", "BasicAuthPassword"), "Rejected", None),
        (variable("OCPPCommCtrlr", "MessageAttempts"), "UnknownVariable", None),
        (variable("EVSE", "AvailabilityState", evse_id=9), "UnknownComponent", None),
        (variable("Toaster", "Slots"), "UnknownComponent", None),
        (
            variable("TxCtrlr", "TxStartPoint") | {"attribute_type": "Target"},
            "NotSupportedAttributeType",
            None,
        ),
    ],
)
async def test_a_variable_is_read(wish: Payload, status: str, value: str | None) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        (result,) = (await talk.ask("GetVariables", get_variable_data=[wish])).get_variable_result

        assert result["attribute_status"] == status
        assert result.get("attribute_value") == value

    await scenario()


@pytest.mark.parametrize(
    ("wish", "value", "status"),
    [
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "1", "Accepted"),
        (variable("TxCtrlr", "TxStartPoint"), "EVConnected,Authorized", "Accepted"),
        (variable("TxCtrlr", "TxStartPoint"), "Whenever", "Rejected"),
        (variable("OCPPCommCtrlr", "HeartbeatInterval"), "soon", "Rejected"),
        (variable("SecurityCtrlr", "SecurityProfile"), "3", "Rejected"),
        (variable("ChargingStation", "Model"), "Other", "Rejected"),
        (variable("TxCtrlr", "Nonsense"), "1", "UnknownVariable"),
        (variable("Toaster", "Slots"), "1", "UnknownComponent"),
        (
            variable("TxCtrlr", "TxStartPoint") | {"attribute_type": "MaxSet"},
            "x",
            "NotSupportedAttributeType",
        ),
    ],
)
async def test_a_variable_is_set(wish: Payload, value: str, status: str) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        data = [wish | {"attribute_value": value}]
        (result,) = (await talk.ask("SetVariables", set_variable_data=data)).set_variable_result

        assert result["attribute_status"] == status
        if status == "Accepted":
            (read,) = (await talk.ask("GetVariables", get_variable_data=[wish])).get_variable_result
            assert read["attribute_value"] == value
            if value == "1":
                await talk.link.next("Heartbeat")

    await scenario()


@charger_test()
async def test_a_password_that_is_set_is_not_printed(talk: Talk) -> None:
    wish = variable("SecurityCtrlr", "BasicAuthPassword") | {"attribute_value": "N3W-S3CRET"}

    await talk.ask("SetVariables", set_variable_data=[wish])
    await talk.link.socket.close()
    await talk.csms.link(2)

    assert "N3W-S3CRET" not in str(talk.charger.events)
    assert "Authorization" in talk.csms.requests[1].headers


@pytest.mark.parametrize(
    ("base", "has", "has_not"),
    [
        ("FullInventory", {"TxStartPoint", "AvailabilityState", "Model"}, set[str]()),
        ("ConfigurationInventory", {"TxStartPoint", "HeartbeatInterval"}, {"Model"}),
        ("SummaryInventory", {"AvailabilityState", "Problem"}, {"TxStartPoint", "Model"}),
    ],
)
async def test_a_report_comes_in_numbered_parts(base: str, has: set[str], has_not: set[str]) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        assert (await talk.ask("GetBaseReport", request_id=5, report_base=base)).status == "Accepted"

        await talk.link.next("NotifyReport", lambda said: not said["tbc"])
        parts = talk.link.all("NotifyReport")
        assert [part["seq_no"] for part in parts] == list(range(len(parts)))
        assert {part["request_id"] for part in parts} == {5}
        names = {entry["variable"]["name"] for part in parts for entry in part["report_data"]}
        assert has <= names
        assert not has_not & names

    await scenario()


@charger_test()
async def test_a_report_of_chosen_components_holds_only_those(talk: Talk) -> None:
    evse = {"component": {"name": "EVSE", "evse": {"id": 2}}}
    interval = variable("OCPPCommCtrlr", "HeartbeatInterval")

    answer = await talk.ask("GetReport", request_id=6, component_variable=[evse, interval])
    report = await talk.link.next("NotifyReport")

    assert answer.status == "Accepted"
    assert {entry["component"]["name"] for entry in report["report_data"]} == {"EVSE", "OCPPCommCtrlr"}
    assert {entry["component"].get("evse", {"id": 2})["id"] for entry in report["report_data"]} == {2}
    nothing = await talk.ask("GetReport", request_id=7, component_criteria=["Problem"])
    assert nothing.status == "EmptyResultSet"


# Availability and control


@charger_test()
async def test_an_inoperative_evse_is_unavailable_and_starts_nothing(talk: Talk) -> None:
    async def change(status: str, evse_id: int) -> str:
        answer = await talk.ask("ChangeAvailability", operational_status=status, evse={"id": evse_id})
        return str(answer.status)

    assert await change("Inoperative", 1) == "Accepted"
    await talk.status("Unavailable")
    assert (
        await talk.ask("RequestStartTransaction", id_token=TOKEN, remote_start_id=1, evse_id=1)
    ).status == "Rejected"
    assert await change("Operative", 1) == "Accepted"
    await talk.status("Available")
    assert await change("Operative", 9) == "Rejected"


@charger_test()
async def test_availability_of_the_station_waits_for_its_transactions(talk: Talk) -> None:
    await talk.start()

    assert (await talk.ask("ChangeAvailability", operational_status="Inoperative")).status == "Scheduled"
    await talk.status("Unavailable", connector_id=2)
    await request_stop(talk)

    await talk.status("Unavailable", connector_id=1)


@charger_test()
async def test_a_connector_is_unlocked_unless_somebody_charges_there(talk: Talk) -> None:
    async def unlock(evse_id: int, connector_id: int = 1) -> str:
        return str((await talk.ask("UnlockConnector", evse_id=evse_id, connector_id=connector_id)).status)

    await talk.start()

    assert await unlock(1) == "OngoingAuthorizedTransaction"
    assert await unlock(2) == "Unlocked"
    assert await unlock(2, 2) == "UnknownConnector"
    await talk.script("Fault", '{"connector": 2, "fault": "ConnectorLockFailure"}')
    assert await unlock(2) == "UnlockFailed"


@charger_test()
async def test_a_fault_ends_the_transaction_with_its_reason(talk: Talk) -> None:
    await talk.start()

    await talk.script("Fault", '{"fault": "GroundFailure"}')

    ended = await talk.event("Ended", "AbnormalCondition")
    assert ended["transaction_info"]["stopped_reason"] == "GroundFault"
    await talk.status("Faulted")


@charger_test(reboot_s=0.02)
async def test_an_immediate_reset_ends_transactions_and_boots_again(talk: Talk) -> None:
    await talk.start()

    assert (await talk.ask("Reset", type="Immediate")).status == "Accepted"

    ended = await talk.event("Ended", "ResetCommand")
    assert ended["transaction_info"]["stopped_reason"] == "ImmediateReset"
    again = await talk.csms.link(2)
    assert (await again.next("BootNotification"))["reason"] == "RemoteReset"


@charger_test(reboot_s=0.02)
async def test_a_reset_on_idle_waits_for_the_transaction(talk: Talk) -> None:
    await talk.start()
    assert (await talk.ask("Reset", type="OnIdle", evse_id=1)).status == "Rejected"
    assert (await talk.ask("Reset", type="OnIdle")).status == "Scheduled"

    await request_stop(talk)

    await talk.event("Ended", "RemoteStop")
    again = await talk.csms.link(2)
    assert (await again.next("BootNotification"))["reason"] == "ScheduledReset"
    await again.next("StatusNotification")
    assert (await again.ask(call201.Reset(type="OnIdle"))).status == "Accepted"
    await talk.csms.link(3)


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("Heartbeat", "Accepted"),
        ("MeterValues", "Accepted"),
        ("StatusNotification", "Accepted"),
        ("FirmwareStatusNotification", "Accepted"),
        ("LogStatusNotification", "Accepted"),
        ("TransactionEvent", "Accepted"),
        ("BootNotification", "Rejected"),
        ("SignChargingStationCertificate", "NotImplemented"),
    ],
)
async def test_each_message_can_be_triggered(message: str, status: str) -> None:
    @charger_test()
    async def scenario(talk: Talk) -> None:
        if message == "TransactionEvent":
            await talk.start()
            await talk.event("Updated", "ChargingStateChanged")
        await until(lambda: not talk.model.has_queued_messages(None))

        answer = await talk.ask("TriggerMessage", requested_message=message, evse={"id": 1})

        assert answer.status == status
        if status == "Accepted":
            said = await talk.link.next(message)
            assert said.get("trigger_reason", "Trigger") == "Trigger"

    await scenario()


@charger_test()
async def test_nothing_is_triggered_where_there_is_nothing(talk: Talk) -> None:
    for fields in (
        {"requested_message": "TransactionEvent"},
        {"requested_message": "MeterValues", "evse": {"id": 7}},
    ):
        assert (await talk.ask("TriggerMessage", **fields)).status == "Rejected"


async def test_a_pending_station_reports_and_boots_when_it_is_told_to() -> None:
    async with Csms() as csms:
        statuses = ["Pending", "Accepted"]
        csms.answers["BootNotification"] = lambda _: {
            "current_time": NOW,
            "interval": 600,
            "status": statuses.pop(0),
        }
        async with LocalCharger(csms.url, "OCPP2.0.1") as charger:
            link = await csms.link()
            await charger.connection("connected", "boot_pending")

            await link.ask(call201.GetBaseReport(request_id=1, report_base="SummaryInventory"))
            await link.next("NotifyReport")
            start = await link.ask(call201.RequestStartTransaction(id_token=TOKEN, remote_start_id=1))
            assert start.status == "Rejected"
            assert link.all("StatusNotification") == []
            await link.ask(call201.TriggerMessage(requested_message="BootNotification"))

            await charger.connection("accepted")


@charger_test()
async def test_data_of_another_vendor_is_not_known(talk: Talk) -> None:
    assert (await talk.ask("DataTransfer", vendor_id="somebody")).status == "UnknownVendorId"
    assert await talk.script("Dance") == "UnknownMessageId"
    done = await talk.ask("DataTransfer", vendor_id="chargehand", message_id="PlugIn", data={"connector": 2})
    assert done.status == "Accepted"
    await talk.status("Occupied", connector_id=2)


# Local list, cache, customers


@charger_test(configuration='{"AuthCtrlr.LocalPreAuthorize": "true"}')
async def test_a_local_list_authorizes_without_asking(talk: Talk) -> None:
    entries = [{"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}]
    answer = await talk.ask(
        "SendLocalList", version_number=3, update_type="Full", local_authorization_list=entries
    )
    assert answer.status == "Accepted"
    assert (await talk.ask("GetLocalListVersion")).version_number == 3

    await talk.script("PlugIn")
    await talk.script("PresentToken", '{"idToken": "TAG"}')

    await talk.event("Started", "Authorized")
    assert talk.link.all("Authorize") == []
    stale = await talk.ask("SendLocalList", version_number=3, update_type="Differential")
    assert stale.status == "VersionMismatch"


@charger_test()
async def test_what_is_known_of_a_customer_is_told_and_forgotten(talk: Talk) -> None:
    await talk.script("PresentToken", '{"idToken": "TAG"}')
    await until(lambda: "tag" in talk.model.authorizer.cache)

    wish: Payload = {"id_token": TOKEN, "report": True, "clear": True}
    assert (await talk.ask("CustomerInformation", request_id=1, **wish)).status == "Accepted"
    assert "TAG: Accepted" in (await talk.link.next("NotifyCustomerInformation"))["data"]
    assert talk.model.authorizer.cache == {}
    assert (await talk.ask("CustomerInformation", request_id=2, **wish)).status == "Accepted"
    assert (await talk.link.next("NotifyCustomerInformation"))["data"] == ""
    neither: Payload = {"id_token": TOKEN, "report": False, "clear": False}
    assert (await talk.ask("CustomerInformation", request_id=3, **neither)).status == "Rejected"
    assert (await talk.ask("CustomerInformation", request_id=4, report=True, clear=False)).status == "Invalid"


@charger_test()
async def test_the_cache_is_cleared(talk: Talk) -> None:
    await talk.script("PresentToken", '{"idToken": "TAG"}')
    await until(lambda: talk.model.authorizer.cache)

    assert (await talk.ask("ClearCache")).status == "Accepted"

    assert talk.model.authorizer.cache == {}


# Reservation


@charger_test()
async def test_a_reservation_keeps_an_evse_for_its_token(talk: Talk) -> None:
    fields = {"id": 5, "expiry_date_time": in_seconds(600), "id_token": TOKEN, "evse_id": 1}
    assert (await talk.ask("ReserveNow", **fields)).status == "Accepted"
    await talk.status("Reserved")
    other = {"id_token": "OTHER", "type": "ISO14443"}

    assert (
        await talk.ask("RequestStartTransaction", id_token=other, remote_start_id=1, evse_id=1)
    ).status == "Rejected"
    assert (await talk.start())["reservation_id"] == 5
    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Rejected"


@charger_test()
async def test_a_reservation_is_cancelled_or_expires(talk: Talk) -> None:
    fields = {"id": 5, "id_token": TOKEN, "evse_id": 1}
    await talk.ask("ReserveNow", expiry_date_time=in_seconds(600), **fields)
    assert (await talk.ask("CancelReservation", reservation_id=5)).status == "Accepted"
    soon = format_time(talk.model.clock.now() + 0.2)

    assert (await talk.ask("ReserveNow", expiry_date_time=soon, **fields)).status == "Accepted"

    update = await talk.link.next("ReservationStatusUpdate")
    assert (update["reservation_id"], update["reservation_update_status"]) == (5, "Expired")
    assert (await talk.ask("ReserveNow", expiry_date_time="soon", **fields)).status == "Rejected"


# Smart charging


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


@charger_test()
async def test_the_drawn_power_follows_the_profiles(talk: Talk) -> None:
    async def install(evse_id: int, **given: Any) -> str:
        answer = await talk.ask("SetChargingProfile", evse_id=evse_id, charging_profile=profile(**given))
        return str(answer.status)

    def clear(**which: Any) -> Awaitable[Any]:
        return talk.ask("ClearChargingProfile", **which)

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
    await request_stop(talk)
    assert [installed.id for installed in talk.model.station.profiles] == [1]


@charger_test()
async def test_installed_profiles_are_reported(talk: Talk) -> None:
    for evse_id in (0, 1):
        given = profile(5_000, id=10 + evse_id)
        await talk.ask("SetChargingProfile", evse_id=evse_id, charging_profile=given)

    answer = await talk.ask("GetChargingProfiles", request_id=3, charging_profile={"stack_level": 0})
    reports = [await talk.link.next("ReportChargingProfiles") for _ in range(2)]

    assert answer.status == "Accepted"
    assert [(report["evse_id"], report["tbc"]) for report in reports] == [(0, True), (1, False)]
    assert [report["charging_profile"][0]["id"] for report in reports] == [10, 11]
    none = await talk.ask("GetChargingProfiles", request_id=3, charging_profile={"charging_profile_id": [99]})
    assert none.status == "NoProfiles"


@charger_test()
async def test_a_profile_that_comes_with_a_start_is_for_that_transaction(talk: Talk) -> None:
    await talk.start(charging_profile=profile(3_000, purpose="TxProfile"))

    assert talk.connector.power_w == 3_000
    given = profile(1, purpose="TxDefaultProfile")
    start: Payload = {"id_token": TOKEN, "remote_start_id": 9, "charging_profile": given}
    assert (await talk.ask("RequestStartTransaction", **start)).status == "Rejected"


@charger_test()
async def test_a_composite_schedule_shows_what_will_be_allowed(talk: Talk) -> None:
    daily: Payload = {
        "kind": "Recurring",
        "recurrency_kind": "Daily",
        "schedule": {"start_schedule": in_seconds(-86_400 - 40), "duration": 100},
    }
    await talk.ask("SetChargingProfile", evse_id=1, charging_profile=profile(8_000, **daily))

    answer = await talk.ask("GetCompositeSchedule", evse_id=1, duration=300)

    assert answer.status == "Accepted"
    periods = answer.schedule["charging_schedule_period"]
    assert [float(period["limit"]) for period in periods] == [8_000, 22_000]
    assert [period["start_period"] for period in periods] == pytest.approx([0, 60], abs=2)
    assert (await talk.ask("GetCompositeSchedule", evse_id=9, duration=1)).status == "Rejected"


# Firmware and logs


def firmware(location: str, **more: Any) -> Payload:
    return {"request_id": 4, "firmware": {"location": location, "retrieve_date_time": NOW, **more}}


@charger_test(job_step_s=0.02, reboot_s=0.02)
async def test_a_firmware_update_is_told_step_by_step_and_boots_the_new_one(talk: Talk) -> None:
    given = firmware("https://files.example/fw-3.0.bin", signature="s", signing_certificate="c")

    assert (await talk.ask("UpdateFirmware", **given)).status == "Accepted"

    again = await talk.csms.link(2)
    boot = await again.next("BootNotification")
    assert (boot["reason"], boot["charging_station"]["firmware_version"]) == ("FirmwareUpdate", "fw-3.0")
    assert (await again.next("FirmwareStatusNotification"))["status"] == "Installed"
    told = talk.link.all("FirmwareStatusNotification")
    assert [said["status"] for said in told] == [
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
        "InstallRebooting",
    ]
    assert {said["request_id"] for said in told} == {4}


@charger_test()
async def test_a_later_update_takes_the_place_of_one_that_waits(talk: Talk) -> None:
    later = firmware("https://files.example/fw.bin") | {
        "firmware": {"location": "https://files.example/fw.bin", "retrieve_date_time": in_seconds(600)}
    }
    assert (await talk.ask("UpdateFirmware", **later)).status == "Accepted"
    assert (await talk.link.next("FirmwareStatusNotification"))["status"] == "DownloadScheduled"

    assert (await talk.ask("UpdateFirmware", **later)).status == "AcceptedCanceled"


@charger_test(job_step_s=0.02)
async def test_a_log_is_named_and_its_upload_is_told(talk: Talk) -> None:
    wish: Payload = {"log": {"remote_location": "ftp://x/"}, "log_type": "DiagnosticsLog"}

    answer = await talk.ask("GetLog", request_id=8, **wish)

    assert answer.status == "Accepted"
    assert answer.filename.endswith(".txt")
    told = [await talk.link.next("LogStatusNotification") for _ in range(2)]
    assert [(said["status"], said["request_id"]) for said in told] == [("Uploading", 8), ("Uploaded", 8)]


@pytest.mark.parametrize(
    "action",
    [
        "SetMonitoringBase",
        "SetNetworkProfile",
        "InstallCertificate",
        "SetDisplayMessage",
        "PublishFirmware",
        "CostUpdated",
    ],
)
async def test_what_is_not_supported_says_so(action: str) -> None:
    payloads = {
        "SetMonitoringBase": '{"monitoringBase":"All"}',
        "SetNetworkProfile": '{"configurationSlot":1,"connectionData":{"ocppVersion":"OCPP20","ocppTransport":"JSON","ocppCsmsUrl":"ws://x","messageTimeout":30,"securityProfile":0,"ocppInterface":"Wired0"}}',
        "InstallCertificate": '{"certificateType":"CSMSRootCertificate","certificate":"x"}',
        "SetDisplayMessage": '{"message":{"id":1,"priority":"AlwaysFront","message":{"format":"UTF8","content":"x"}}}',
        "PublishFirmware": '{"location":"x","checksum":"x","requestId":1}',
        "CostUpdated": '{"totalCost":1,"transactionId":"x"}',
    }

    @charger_test()
    async def scenario(talk: Talk) -> None:
        await talk.link.socket.send(f'[2,"77","{action}",{payloads[action]}]')

        await until(lambda: any(frame.startswith('[4,"77","NotSupported"') for frame in talk.link.frames))

    await scenario()


@charger_test()
async def test_events_of_a_transaction_are_in_order(talk: Talk) -> None:
    await talk.start()
    for power_w in (1_000, 2_000, 3_000):
        await talk.script("SetPower", f'{{"powerW": {power_w}}}')
    await request_stop(talk)
    await talk.event("Ended")

    told = talk.link.all("TransactionEvent")

    assert all(later["seq_no"] == earlier["seq_no"] + 1 for earlier, later in pairwise(told))
    assert all(earlier["timestamp"] <= later["timestamp"] for earlier, later in pairwise(told))
