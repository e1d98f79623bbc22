"""OCPP 2.0.1: availability, reset, triggers and unsupported requests."""

import pytest

from tests.simulator.charger import LocalCharger
from tests.simulator.talk import TOKEN, Talk
from tests.support.csms import Csms, Payload, boot_answers, call201
from tests.support.waiting import wait_until_async


async def test_an_inoperative_evse_is_unavailable_and_starts_nothing(talk: Talk) -> None:
    async def change(status: str, evse_id: int) -> str:
        answer = await talk.call("ChangeAvailability", operational_status=status, evse={"id": evse_id})
        return str(answer.status)

    assert await change("Inoperative", 1) == "Accepted"
    await talk.status("Unavailable")
    assert (
        await talk.call("RequestStartTransaction", id_token=TOKEN, remote_start_id=1, evse_id=1)
    ).status == "Rejected"
    assert await change("Operative", 1) == "Accepted"
    await talk.status("Available")
    assert await change("Operative", 9) == "Rejected"


async def test_availability_of_the_station_waits_for_its_transactions(talk: Talk) -> None:
    await talk.start()

    assert (await talk.call("ChangeAvailability", operational_status="Inoperative")).status == "Scheduled"
    await talk.status("Unavailable", connector_id=2)
    await talk.request_stop()

    await talk.status("Unavailable", connector_id=1)


async def test_a_connector_is_unlocked_unless_a_transaction_runs_there(talk: Talk) -> None:
    async def unlock(evse_id: int, connector_id: int = 1) -> str:
        return str((await talk.call("UnlockConnector", evse_id=evse_id, connector_id=connector_id)).status)

    await talk.start()

    assert await unlock(1) == "OngoingAuthorizedTransaction"
    assert await unlock(2) == "Unlocked"
    assert await unlock(2, 2) == "UnknownConnector"
    await talk.perform("Fault", '{"connector": 2, "fault": "ConnectorLockFailure"}')
    assert await unlock(2) == "UnlockFailed"


async def test_a_fault_ends_the_transaction_with_its_reason(talk: Talk) -> None:
    await talk.start()

    await talk.perform("Fault", '{"fault": "GroundFailure"}')

    ended = await talk.event("Ended", "AbnormalCondition")
    assert ended["transaction_info"]["stopped_reason"] == "GroundFault"
    await talk.status("Faulted")


@pytest.mark.charger(reboot_s=0.02)
async def test_an_immediate_reset_ends_transactions_and_boots_again(talk: Talk) -> None:
    await talk.start()

    assert (await talk.call("Reset", type="Immediate")).status == "Accepted"

    ended = await talk.event("Ended", "ResetCommand")
    assert ended["transaction_info"]["stopped_reason"] == "ImmediateReset"
    again = await talk.csms.link(2)
    assert (await again.next("BootNotification"))["reason"] == "RemoteReset"


@pytest.mark.charger(reboot_s=0.02)
async def test_a_reset_on_idle_waits_for_the_transaction(talk: Talk) -> None:
    await talk.start()
    assert (await talk.call("Reset", type="OnIdle", evse_id=3)).status == "Rejected"
    assert (await talk.call("Reset", type="OnIdle")).status == "Scheduled"

    await talk.request_stop()

    await talk.event("Ended", "RemoteStop")
    again = await talk.csms.link(2)
    assert (await again.next("BootNotification"))["reason"] == "ScheduledReset"
    await again.next("StatusNotification")
    assert (await again.call(call201.Reset(type="OnIdle"))).status == "Accepted"
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
async def test_each_message_can_be_triggered(talk: Talk, message: str, status: str) -> None:
    if message == "TransactionEvent":
        await talk.start()
        await talk.event("Updated", "ChargingStateChanged")
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))

    answer = await talk.call("TriggerMessage", requested_message=message, evse={"id": 1, "connector_id": 1})

    assert answer.status == status
    if status == "Accepted":
        payload = await talk.link.next(message)
        assert payload.get("trigger_reason", "Trigger") == "Trigger"


@pytest.mark.parametrize(
    ("message", "evse", "status"),
    [
        ("TransactionEvent", None, "Rejected"),
        ("MeterValues", {"id": 7}, "Rejected"),
        ("StatusNotification", None, "Rejected"),
        ("StatusNotification", {"id": 1}, "Rejected"),
        ("StatusNotification", {"id": 0, "connector_id": 1}, "Rejected"),
        ("StatusNotification", {"id": 1, "connector_id": 2}, "Rejected"),
        ("StatusNotification", {"id": 7, "connector_id": 1}, "Rejected"),
        ("Heartbeat", {"id": 7}, "Accepted"),
        ("LogStatusNotification", {"id": 7}, "Accepted"),
        ("SignV2GCertificate", {"id": 7}, "NotImplemented"),
    ],
)
async def test_the_evse_of_a_trigger_counts_where_the_message_is_about_one(
    talk: Talk, message: str, evse: Payload | None, status: str
) -> None:
    """F06.FR.02, .06 and .12; libocpp's handle_trigger_message."""
    answer = await talk.call("TriggerMessage", requested_message=message, evse=evse)

    assert answer.status == status


@pytest.mark.parametrize("evse", [None, {"id": 1}])
async def test_readings_without_a_measurand_cannot_be_triggered(talk: Talk, evse: Payload | None) -> None:
    talk.model.options.set("aligned", "")

    answer = await talk.call("TriggerMessage", requested_message="MeterValues", evse=evse)

    assert answer.status == "Rejected"


async def test_a_transaction_event_without_a_measurand_is_triggered(talk: Talk) -> None:
    """F06.FR.07: it has readings if there are any."""
    await talk.start()
    talk.model.options.set("sampled", "")

    answer = await talk.call("TriggerMessage", requested_message="TransactionEvent")

    assert answer.status == "Accepted"
    assert "meter_value" not in await talk.event("Updated", "Trigger")


async def test_a_pending_station_reports_and_boots_when_the_csms_requests_it() -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Pending", "Accepted", interval_s=600)
        async with LocalCharger(csms.url, "OCPP2.0.1") as charger:
            link = await csms.link()
            await charger.connection("connected", "boot_pending")

            await link.call(call201.GetBaseReport(request_id=1, report_base="SummaryInventory"))
            await link.next("NotifyReport")
            start = await link.call(call201.RequestStartTransaction(id_token=TOKEN, remote_start_id=1))
            assert start.status == "Rejected"
            assert link.all("StatusNotification") == []
            await link.call(call201.TriggerMessage(requested_message="BootNotification"))

            await charger.connection("accepted")


async def test_data_of_another_vendor_is_not_known(talk: Talk) -> None:
    assert (await talk.call("DataTransfer", vendor_id="somebody")).status == "UnknownVendorId"
    assert await talk.perform("Dance") == "UnknownMessageId"
    done = await talk.call("DataTransfer", vendor_id="chargehand", message_id="PlugIn", data={"connector": 2})
    assert done.status == "Accepted"
    await talk.status("Occupied", connector_id=2)


@pytest.mark.parametrize(
    "action",
    [
        "SetMonitoringBase",
        "InstallCertificate",
        "SetDisplayMessage",
        "PublishFirmware",
        "CostUpdated",
    ],
)
async def test_an_unsupported_request_is_answered_not_supported(talk: Talk, action: str) -> None:
    payloads = {
        "SetMonitoringBase": '{"monitoringBase":"All"}',
        "InstallCertificate": '{"certificateType":"CSMSRootCertificate","certificate":"x"}',
        "SetDisplayMessage": '{"message":{"id":1,"priority":"AlwaysFront","message":{"format":"UTF8","content":"x"}}}',
        "PublishFirmware": '{"location":"x","checksum":"x","requestId":1}',
        "CostUpdated": '{"totalCost":1,"transactionId":"x"}',
    }

    await talk.link.socket.send(f'[2,"77","{action}",{payloads[action]}]')

    await wait_until_async(
        lambda: any(frame.startswith('[4,"77","NotSupported"') for frame in talk.link.frames)
    )
