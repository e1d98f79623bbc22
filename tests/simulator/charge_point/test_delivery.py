"""What a charger delivers after it was offline, and what it does with a message that the CSMS refuses."""

import json

import pytest
from ocpp.exceptions import GenericError  # type: ignore[import-untyped]

from simulator.charge_point import delivery
from simulator.link.outbox import CAPACITY, REQUESTED_CAPACITY, Answer
from simulator.link.session import CallFailed
from tests.simulator.charger import LocalCharger
from tests.simulator.talk import TOKEN, Talk, in_seconds, start_remotely, transaction_calls
from tests.simulator.unconnected import unconnected
from tests.support.csms import Csms, call16, call201
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


@VERSIONS
async def test_offline_events_are_reported_in_order_after_the_reconnect(version: str) -> None:
    """A whole transaction takes place while the CSMS is away."""
    offline = {
        "local_pre_authorize": "true",
        "sample_s": "1",
    }
    async with Csms() as csms, LocalCharger(csms.url, version, retry_max_s=2, retry_random_s=0.1) as charger:
        first = await csms.accepted()
        model = charger.model
        for name, value in offline.items():
            model.options.set(name, value)
        entry = {"id_tag": "TAG", "id_tag_info": {"status": "Accepted"}}
        if version == "OCPP1.6":
            await first.call(
                call16.SendLocalList(list_version=1, update_type="Full", local_authorization_list=[entry])
            )
        else:
            listed = {"id_token": TOKEN, "id_token_info": {"status": "Accepted"}}
            await first.call(
                call201.SendLocalList(version_number=1, update_type="Full", local_authorization_list=[listed])
            )
        csms.kill()
        await wait_until_async(lambda: not model.online)

        connector = model.station.connectors[0]
        model.data_transfer.perform("PlugIn", None)
        model.data_transfer.perform("PresentToken", {"idToken": "TAG"})
        assert connector.power_w > 0
        meter_start_wh = connector.energy_wh
        await wait_until_async(
            lambda: "MeterValue" in str(model.describe()["outbox"]) and connector.energy_wh > meter_start_wh
        )
        model.data_transfer.perform("PresentToken", {"idToken": "TAG"})

        async with Csms(port=csms.port) as again:
            link = await again.link()
            await wait_until_async(lambda: not model.has_queued_messages(None))

    reported = transaction_calls(link)
    if version == "OCPP1.6":
        assert reported[0] == "StartTransaction"
        assert reported[-1] == "StopTransaction"
        assert set(reported[1:-1]) == {"MeterValues"}
        assert {
            payload["transaction_id"] for payload in link.all("MeterValues") + link.all("StopTransaction")
        } == {4711}
    else:
        assert reported[0] == "Started"
        assert reported[-1] == "Ended"
        assert all(payload["offline"] for payload in link.all("TransactionEvent"))
        assert [payload["seq_no"] for payload in link.all("TransactionEvent")] == list(range(len(reported)))
    # Finishing in 1.6, Occupied in 2.0.1: only the connector that changed, after what happened to it.
    assert len(link.all("StatusNotification")) == 1
    assert link.calls[-1].action == "StatusNotification"


@VERSIONS
async def test_a_transaction_survives_a_lost_connection(version: str) -> None:
    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0) as charger:
        first = await csms.accepted()
        await start_remotely(first, version)
        connector = charger.model.station.connectors[0]
        await wait_until_async(lambda: connector.power_w > 0 and not charger.model.has_queued_messages(None))
        before = connector.transaction

        first.socket.transport.abort()
        second = await csms.link(2)
        await charger.connection("accepted", "still_accepted")

        assert before is not None
        assert connector.transaction is before
        if version == "OCPP1.6":
            await second.call(call16.RemoteStopTransaction(transaction_id=4711))
            assert (await second.next("StopTransaction"))["reason"] == "Remote"
        else:
            await second.call(call201.RequestStopTransaction(transaction_id=before.id))
            ended = await second.next("TransactionEvent", lambda payload: payload["event_type"] == "Ended")
            assert ended["trigger_reason"] == "RemoteStop"


async def test_offline_only_known_tokens_start_unless_all_may() -> None:
    async with LocalCharger("ws://127.0.0.1:9/") as charger:
        await charger.connection("disconnected", "connection_refused")
        connector = charger.model.station.connectors[0]
        charger.model.data_transfer.perform("PlugIn", None)

        charger.model.data_transfer.perform("PresentToken", {"idToken": "UNKNOWN"})
        assert connector.transaction is None
        charger.model.options.set("accept_unknown_offline", "true")
        charger.model.data_transfer.perform("PresentToken", {"idToken": "UNKNOWN"})

        assert connector.transaction is not None


async def test_statuses_that_came_and_went_offline_are_not_reported() -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        first = await csms.accepted()
        await wait_until_async(lambda: len(first.all("StatusNotification")) == 2)
        first.socket.transport.abort()
        await wait_until_async(lambda: not charger.model.online)
        charger.model.data_transfer.perform("PlugIn", None)
        charger.model.data_transfer.perform("Unplug", None)

        second = await csms.link(2)
        await charger.connection("accepted", "still_accepted")
        charger.model.registration.send_heartbeat()
        await second.next("Heartbeat")

    assert second.all("StatusNotification") == []


RETRY_AT_ONCE = json.dumps({"TransactionMessageRetryInterval": 0})


@VERSIONS
@pytest.mark.charger(configuration=RETRY_AT_ONCE)
async def test_a_refused_transaction_message_is_sent_three_times_and_then_dropped(talk: Talk) -> None:
    action = "StartTransaction" if talk.is_16 else "TransactionEvent"
    talk.csms.raw_answers[action] = '"nonsense"'
    talk.model.data_transfer.perform("PlugIn", None)
    await talk.perform("PresentToken", '{"idToken": "TAG"}')

    await wait_until_async(
        lambda: any("given up after 3 attempts" in remark for remark in talk.charger.remarks())
    )

    del talk.csms.raw_answers[action]
    await talk.perform("Unplug")
    if talk.is_16:
        assert (await talk.link.next("StopTransaction"))["transaction_id"] == -1
    else:
        await talk.event("Ended")


async def test_an_unanswered_call_does_not_stop_the_charger() -> None:
    async with Csms() as csms, LocalCharger(csms.url, call_timeout_s=0.1) as charger:
        link = await csms.accepted()
        csms.raw_answers["Heartbeat"] = None
        charger.model.registration.send_heartbeat()
        await wait_until_async(
            lambda: any("Heartbeat was not answered" in remark for remark in charger.remarks())
        )

        del csms.raw_answers["Heartbeat"]
        charger.model.registration.send_heartbeat()

        await link.next("Heartbeat")


@pytest.mark.parametrize(("threshold_s", "reported"), [(0, 2), (600, 0)])
async def test_after_a_long_time_offline_every_status_is_reported_again(
    threshold_s: int, reported: int
) -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        first = await csms.accepted()
        await wait_until_async(lambda: len(first.all("StatusNotification")) == 2)
        charger.model.options.set("offline_threshold_s", threshold_s)

        first.socket.transport.abort()
        second = await csms.link(2)
        await charger.connection("accepted", "still_accepted")
        charger.model.registration.send_heartbeat()
        await second.next("Heartbeat")

    assert len(second.all("StatusNotification")) == reported


@VERSIONS
@pytest.mark.parametrize("question", ["PresentToken", "a remote start"])
async def test_a_question_that_the_link_took_with_it_does_not_occupy_the_connector(
    version: str, question: str
) -> None:
    """The offline rules decide about the token (OCPP 1.6, 4.1; 2.0.1, C15): here they know it not."""
    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0) as charger:
        first = await csms.accepted()
        charger.model.options.set("authorize_remote_start", "true")
        csms.raw_answers["Authorize"] = None
        connector = charger.model.station.connectors[0]
        if question == "PresentToken":
            charger.model.data_transfer.perform("PresentToken", {"idToken": "TAG"})
        elif version == "OCPP1.6":
            await first.call(call16.RemoteStartTransaction(id_tag="TAG", connector_id=1))
        else:
            await first.call(call201.RequestStartTransaction(id_token=TOKEN, remote_start_id=7))
        await wait_until_async(lambda: any('"Authorize"' in frame for frame in first.frames))
        assert not connector.is_free
        first.socket.transport.abort()

        second = await csms.link(2)
        await charger.connection("accepted", "still_accepted")
        await wait_until_async(lambda: connector.is_free)
        del csms.raw_answers["Authorize"]
        await start_remotely(second, version)


@VERSIONS
@pytest.mark.parametrize("meanwhile", ["it changes back", "it stays"])
async def test_a_status_that_the_csms_has_not_answered_is_reported_again(
    version: str, meanwhile: str
) -> None:
    """The CSMS may know the status that it did not answer, or not."""
    async with Csms() as csms, LocalCharger(csms.url, version) as charger:
        first = await csms.accepted()
        known = len(charger.model.reporting_numbers())
        await wait_until_async(lambda: len(first.all("StatusNotification")) == known)
        csms.raw_answers["StatusNotification"] = None
        charger.model.data_transfer.perform("PlugIn", None)
        await wait_until_async(lambda: "Preparing" in first.frames[-1] or "Occupied" in first.frames[-1])
        first.socket.transport.abort()
        await wait_until_async(lambda: not charger.model.online)
        if meanwhile == "it changes back":
            charger.model.data_transfer.perform("Unplug", None)
        del csms.raw_answers["StatusNotification"]

        second = await csms.link(2)

        status = await second.next("StatusNotification")
        expected = {"Available"} if meanwhile == "it changes back" else {"Preparing", "Occupied"}
        assert (status.get("status") or status["connector_status"]) in expected


async def test_a_second_fault_with_the_same_status_is_reported() -> None:
    """OCPP 1.6, 4.9: a StatusNotification is about an error, too."""
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        charger.model.data_transfer.perform("Fault", {"fault": "OverVoltage"})
        charger.model.data_transfer.perform("Fault", {"fault": "GroundFailure"})

        await link.next("StatusNotification", lambda payload: payload["error_code"] == "OverVoltage")
        await link.next("StatusNotification", lambda payload: payload["error_code"] == "GroundFailure")


@VERSIONS
async def test_a_refused_report_is_sent_once_and_delays_no_transaction(version: str) -> None:
    """Only messages about transactions are repeated: OCPP 1.6 part 1, 9.1 (TransactionMessageAttempts); 2.0.1, E13."""
    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0, job_step_s=600) as charger:
        link = await csms.accepted()
        csms.raw_frames["FirmwareStatusNotification"] = lambda unique_id: [
            f'[4,"{unique_id}","NotSupported","",{{}}]'
        ]
        charger.model.report_firmware("Downloading", None)

        await start_remotely(link, version)

        reports = [frame for frame in link.frames if '"FirmwareStatusNotification"' in frame]
        assert len(reports) == 1
        assert not charger.model.delivery.outbox.has_action("FirmwareStatusNotification")


@VERSIONS
@pytest.mark.charger(
    configuration=json.dumps({"TransactionMessageRetryInterval": 0, "MeterValueSampleInterval": 0})
)
async def test_readings_that_are_always_refused_delay_the_end_of_their_transaction_once(talk: Talk) -> None:
    """The first takes all its attempts, each of the others one."""
    await talk.start()
    transaction = talk.connector.transaction
    assert transaction is not None
    action = "MeterValues" if talk.is_16 else "TransactionEvent"
    talk.csms.raw_answers[action] = '"refused"'
    for _ in range(4):
        talk.model.report_updated(talk.connector, transaction, "MeterValuePeriodic")
    await wait_until_async(lambda: not talk.model.has_queued_messages(None))
    sent = [frame for frame in talk.link.frames if f'"{action}"' in frame and "Sample.Periodic" in frame]
    assert len(sent) == 3 + 1 + 1 + 1

    del talk.csms.raw_answers[action]
    talk.model.report_updated(talk.connector, transaction, "MeterValuePeriodic")
    await talk.link.next(action)


@pytest.mark.parametrize(
    ("version", "trigger"),
    [
        ("OCPP1.6", "TriggerMessage"),
        ("OCPP1.6", "ExtendedTriggerMessage"),
        ("OCPP2.0.1", "TriggerMessage"),
    ],
)
async def test_what_the_csms_requests_while_it_does_not_read_is_bounded(talk: Talk, trigger: str) -> None:
    talk.csms.raw_answers["Heartbeat"] = None

    statuses = [
        (await talk.call(trigger, requested_message="Heartbeat")).status
        for _ in range(REQUESTED_CAPACITY + 3)
    ]

    assert statuses[:REQUESTED_CAPACITY] == ["Accepted"] * REQUESTED_CAPACITY
    assert statuses[REQUESTED_CAPACITY:] == ["Rejected"] * 3


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_no_report_is_requested_beyond_the_bound(talk: Talk) -> None:
    talk.csms.raw_answers["NotifyReport"] = None
    while not talk.model.delivery.outbox.is_busy:
        await talk.call("GetBaseReport", request_id=1, report_base="FullInventory")

    report = await talk.call("GetBaseReport", request_id=1, report_base="FullInventory")
    customer = await talk.call("CustomerInformation", request_id=1, report=True, clear=False, id_token=TOKEN)
    with pytest.raises(GenericError):
        await talk.call("GetChargingProfiles", request_id=1, charging_profile={})

    assert (report.status, customer.status) == ("Rejected", "Rejected")


@VERSIONS
async def test_no_transaction_ends_before_it_has_begun(talk: Talk) -> None:
    """The CSMS's clock falls back by an hour in between."""
    started = await talk.start()
    talk.model.clock.set(in_seconds(-3600))

    talk.model.station.transactions.end_all("Local")

    ended = await (talk.link.next("StopTransaction") if talk.is_16 else talk.event("Ended"))
    assert ended["timestamp"] == started["timestamp"]


@VERSIONS
async def test_a_call_that_a_full_queue_drops_calls_back_once(talk: Talk) -> None:
    talk.csms.raw_answers["Heartbeat"] = None
    answers: list[Answer] = []
    for _ in range(CAPACITY + 2):
        talk.model.send("Heartbeat", {}, answers.append)

    assert [type(answer) for answer in answers] == [CallFailed] * 2
    assert sum("too many messages wait" in remark for remark in talk.charger.remarks()) == 1


async def test_a_charger_that_drops_messages_for_the_others_says_how_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(delivery, "REMARK_S", 0.05)
    with unconnected("OCPP1.6") as charger:
        for _ in range(11):
            charger.model.send_durable("MeterValues", {"connectorId": 1}, "A", droppable=True)
        outbox = charger.model.delivery.outbox

        dropped = [outbox.give_up_some(), outbox.give_up_some()]
        await wait_until_async(lambda: "were dropped" in "".join(charger.remarks))

    assert dropped == [5, 3]
    assert [remark for remark in charger.remarks if "were dropped" in remark] == [
        "the messages that wait in all chargers of the process need too much memory: 8 of this charger were dropped"
    ]
