"""Single messages to the CSMS: a caller's own, and those that the charger makes."""

from typing import Any

import pytest

from simulator.actions.outcome import Outcome
from tests.simulator.talk import Talk
from tests.support.csms import Payload
from tests.support.waiting import wait_until_async


async def proxy(talk: Talk, action: str, payload: Payload) -> Outcome:
    version = talk.model.version.subprotocol
    return await talk.act("proxy_message", action=action, ocpp_version=version, payload=payload)


def boot(talk: Talk) -> Payload:
    names = {"charge_point_vendor": "OCPPLAB", "charge_point_model": "SDK-DC-50"}
    station = {"vendor_name": "OCPPLAB", "model": "SDK-DC-50"}
    return names if talk.is_16 else {"reason": "PowerUp", "charging_station": station}


def status(talk: Talk, status: str) -> Payload:
    if talk.is_16:
        return {"connector_id": 1, "error_code": "NoError", "status": status}
    when = "2030-01-01T12:00:00Z"
    return {"timestamp": when, "evse_id": 1, "connector_id": 1, "connector_status": status}


async def test_a_message_is_sent_as_it_is_and_its_answer_is_in_the_result(talk: Talk) -> None:
    outcome = await proxy(talk, "data_transfer", {"vendor_id": "acme", "messageId": "m", "data": "x"})

    assert outcome.status == "applied"
    assert outcome.result is not None
    assert outcome.result["answer"] == {"status": "Accepted"}
    assert await talk.link.next("DataTransfer") == {"vendor_id": "acme", "message_id": "m", "data": "x"}


@pytest.mark.parametrize(
    ("action", "payload", "reason"),
    [
        ("DataTransfer", {"message_id": "m"}, "lacks vendorId"),
        ("data_transfer", {"vendor_id": 5}, "must be of type string"),
        ("reset", {"type": "Soft"}, "is no message that a charge point"),
        ("../Authorize", {}, "is no message that a charge point"),
    ],
)
async def test_a_message_that_no_charge_point_may_send_is_rejected(
    talk: Talk, action: str, payload: Payload, reason: str
) -> None:
    outcome = await proxy(talk, action, payload)

    assert outcome.status == "rejected"
    assert reason in str(outcome.reason)
    assert not talk.link.all("DataTransfer")


async def test_a_message_of_another_version_is_rejected(talk: Talk) -> None:
    other = "ocpp2.0.1" if talk.is_16 else "ocpp1.6"

    outcome = await talk.act("proxy_message", action="heartbeat", ocpp_version=other, payload={})

    assert (outcome.status, talk.link.all("Heartbeat")) == ("rejected", [])


async def test_an_error_of_the_csms_rejects_the_message(talk: Talk) -> None:
    talk.csms.raw_frames["Heartbeat"] = lambda unique_id: [f'[4,"{unique_id}","NotSupported","no",{{}}]']

    outcome = await proxy(talk, "heartbeat", {})

    assert outcome == Outcome(
        "rejected",
        "the CSMS answered NotSupported: no",
        {"error": {"code": "NotSupported", "description": "no"}},
    )


async def test_the_answer_to_a_boot_counts(talk: Talk) -> None:
    talk.csms.answers["BootNotification"] = {
        "current_time": "2030-01-01T12:00:00Z",
        "interval": 60,
        "status": "Rejected",
    }

    outcome = await proxy(talk, "BootNotification", boot(talk))

    assert outcome.status == "applied"
    assert not talk.model.is_accepted
    assert (await proxy(talk, "heartbeat", {})).status == "failed"


async def test_after_a_false_status_the_next_change_sends_the_true_one(talk: Talk) -> None:
    await proxy(talk, "status_notification", status(talk, "Faulted"))
    await talk.status("Faulted")

    await talk.act("plug_connector")

    await talk.status("Preparing" if talk.is_16 else "Occupied")


async def test_a_false_start_leaves_the_charger_as_it_is(talk: Talk) -> None:
    when = "2030-01-01T12:00:00Z"
    start: dict[bool, tuple[str, Payload]] = {
        True: ("start_transaction", {"connector_id": 1, "id_tag": "T", "meter_start": 0, "timestamp": when}),
        False: (
            "transaction_event",
            {
                "event_type": "Started",
                "timestamp": when,
                "trigger_reason": "Authorized",
                "seq_no": 0,
                "transaction_info": {"transaction_id": "T-1"},
            },
        ),
    }

    outcome = await proxy(talk, *start[talk.is_16])

    assert outcome.status == "applied"
    assert talk.connector.is_free
    assert (await talk.act("start_session", id_tag="TAG")).status == "applied"


@pytest.mark.charger(call_timeout_s=0.3)
async def test_a_message_that_is_late_is_not_sent_any_more(talk: Talk) -> None:
    talk.csms.raw_answers["MeterValues"] = None
    await talk.act("update_meter_values", energy_wh=10**9)  # waits for its answer

    outcome = await proxy(talk, "data_transfer", {"vendor_id": "late"})

    assert outcome.status == "failed"
    await wait_until_async(lambda: not talk.model.delivery.outbox.has_undelivered())
    assert not talk.link.all("DataTransfer")


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        ({"message": "Heartbeat"}, "Heartbeat"),
        ({"message": "meter_values", "connector_id": 1}, "MeterValues"),
        ({"message": "StatusNotification"}, "StatusNotification"),
        ({"message": "LogStatusNotification"}, "LogStatusNotification"),
    ],
)
async def test_the_charger_sends_a_message_of_its_own(talk: Talk, event: Any, sent: str) -> None:
    outcome = await talk.act("trigger_message", **event)

    assert outcome.status == "applied"
    await talk.link.next(sent)


@pytest.mark.parametrize("event", [{"message": "Dance"}, {"message": "MeterValues", "connector_id": 7}])
async def test_what_cannot_be_triggered_is_rejected(talk: Talk, event: Any) -> None:
    assert (await talk.act("trigger_message", **event)).status == "rejected"


async def test_an_answer_that_no_door_could_carry_is_made_plain(talk: Talk) -> None:
    """A CSMS may send half of a surrogate pair, NUL, and numbers that JSON cannot write."""
    odd = (
        '{"status": "Accepted", "customData": {"vendorId": "x", "a": "\\ud800", "b": "\\u0000", "c": 1e999}}'
    )
    talk.csms.raw_answers["DataTransfer"] = (
        odd if not talk.is_16 else '{"status": "Accepted", "data": "\\ud800"}'
    )

    outcome = await proxy(talk, "data_transfer", {"vendor_id": "x"})

    assert outcome.result is not None
    answer = outcome.result["answer"]
    if talk.is_16:
        assert answer["data"] == "\ufffd"
    else:
        assert answer["customData"] == {"vendorId": "x", "a": "\ufffd", "b": "\ufffd", "c": None}


async def test_an_answer_that_is_too_long_for_a_frame_is_left_out(talk: Talk) -> None:
    """A letter of two bytes is an escape of six in a frame of the control link."""
    talk.csms.raw_answers["DataTransfer"] = f'{{"status": "Accepted", "data": "{"ä" * 150_000}"}}'

    outcome = await proxy(talk, "data_transfer", {"vendor_id": "x"})

    assert (outcome.status, outcome.result) == ("applied", None)
    assert "left out" in str(outcome.reason)


@pytest.mark.parametrize("event", [None, [], 5, "text"])
async def test_what_is_no_event_is_rejected(talk: Talk, event: Any) -> None:
    assert (await talk.model.actions.perform("plug_connector", event)).status == "rejected"
    assert (await talk.model.actions.perform(event, {})).status == "rejected"


@pytest.mark.parametrize("version", ["OCPP2.0.1"])
async def test_a_password_in_a_message_is_in_no_result_and_no_log(talk: Talk) -> None:
    variable = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
        "variable_attribute": [{"value": "hunter2hunter2"}],
    }
    report = {"request_id": 1, "generated_at": "2030-01-01T12:00:00Z", "seq_no": 0, "report_data": [variable]}

    outcome = await proxy(talk, "notify_report", report)

    assert outcome.status == "applied"
    sent = (await talk.link.next("NotifyReport"))["report_data"][0]["variable_attribute"]
    assert sent == [{"value": "hunter2hunter2"}]
    assert "hunter2" not in f"{outcome}{talk.charger.events}"
