"""How a charger registers, and what it reports while its CSMS does not accept it."""

import asyncio
import json
import time

import pytest
from ocpp.exceptions import SecurityError  # type: ignore[import-untyped]

from simulator.charge_point.registration import MAX_BOOT_RETRY_S, MAX_HEARTBEAT_S
from tests.simulator.charger import LocalCharger
from tests.simulator.station.both import set_option
from tests.simulator.talk import Talk
from tests.support.csms import BOOT_ACCEPTED, NOW, Csms, Payload, boot_answers, call16, call201
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])

TRIGGER: Payload = {"requestedMessage": "BootNotification"}

ACCEPTED = json.dumps({"currentTime": NOW, "interval": 300, "status": "Accepted"})


@VERSIONS
@pytest.mark.parametrize(
    ("answer", "reason", "detail"),
    [
        ('{"status":"Accepted"}', "boot_answer_unusable", "cannot be used"),
        (None, "boot_unanswered", "did not answer"),
    ],
)
async def test_the_link_says_why_the_charger_is_not_accepted(
    version: str, answer: str | None, reason: str, detail: str
) -> None:
    async with Csms() as csms:
        csms.raw_answers["BootNotification"] = answer
        async with LocalCharger(csms.url, version, call_timeout_s=0.1) as charger:
            event = await charger.connection("connected", reason)

    assert detail in event["detail"]


@VERSIONS
async def test_a_boot_that_is_answered_with_an_error_is_refused(version: str) -> None:
    def fail(_: Payload) -> Payload:
        raise SecurityError("who is this?")

    async with Csms() as csms:
        csms.answers["BootNotification"] = fail
        async with LocalCharger(csms.url, version) as charger:
            event = await charger.connection("connected", "boot_refused")

    assert "SecurityError" in event["detail"]


@VERSIONS
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
@pytest.mark.parametrize("interval", [-5, 0, 60, 10**12])
async def test_any_interval_of_a_refusal_leads_to_another_boot(
    version: str, status: str, interval: int
) -> None:
    async with Csms() as csms:
        csms.raw_answers["BootNotification"] = json.dumps(
            {"currentTime": NOW, "interval": interval, "status": status}
        )
        async with LocalCharger(csms.url, version) as charger:
            await charger.event(lambda event: str(event.get("reason")).startswith("boot_"))
            wait_s = charger.model.registration._next_boot_s - time.monotonic()

    assert 29 < wait_s <= {60: 60, 10**12: MAX_BOOT_RETRY_S}.get(interval, 30)


@VERSIONS
@pytest.mark.parametrize("interval", [-5, 0, 60, 10**12])
async def test_any_interval_of_an_acceptance_leads_to_heartbeats(version: str, interval: int) -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = BOOT_ACCEPTED | {"interval": interval}
        async with LocalCharger(csms.url, version) as charger:
            await csms.accepted()
            heartbeat_s = charger.model.options.number("heartbeat_s")

    assert heartbeat_s == {60: 60, 10**12: MAX_HEARTBEAT_S}.get(interval, 300)


@VERSIONS
async def test_the_interval_of_a_refusal_counts_over_a_reconnect(version: str) -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Rejected", interval_s=600)
        async with LocalCharger(csms.url, version) as charger:
            first = await csms.link()
            await charger.connection("rejected", "boot_rejected")
            first.socket.transport.abort()

            second = await csms.link(2)
            await wait_until_async(lambda: charger.model.online)
            await asyncio.sleep(0.05)

        assert second.frames == []


@VERSIONS
async def test_a_pending_charger_boots_when_the_csms_triggers_it(version: str) -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Pending", "Accepted", interval_s=600)
        async with LocalCharger(csms.url, version) as charger:
            link = await csms.link()
            await charger.connection("connected", "boot_pending")
            call = (call16 if version == "OCPP1.6" else call201).TriggerMessage
            assert (await link.call(call(requested_message="BootNotification"))).status == "Accepted"
            await charger.connection("accepted")

    first, second = link.all("BootNotification")
    if version == "OCPP2.0.1":
        assert (first["reason"], second["reason"]) == ("PowerUp", "Triggered")
    else:
        assert first == second


async def test_a_trigger_of_the_boot_that_is_accepted_does_not_count_for_the_next_boot() -> None:
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Pending", "Accepted", interval_s=600)
        async with LocalCharger(csms.url, "OCPP2.0.1", reboot_s=0) as charger:
            await charger.connection("connected", "boot_pending")

            def accept(_: Payload) -> Payload:
                assert charger.model.answer("TriggerMessage", TRIGGER) == {"status": "Accepted"}
                return BOOT_ACCEPTED

            csms.answers["BootNotification"] = accept
            await csms.links[0].call(call201.TriggerMessage(requested_message="BootNotification"))
            await charger.connection("accepted")
            csms.answers["BootNotification"] = BOOT_ACCEPTED
            await csms.links[0].call(call201.Reset(type="Immediate"))
            boot = await (await csms.link(2)).next("BootNotification")

    assert boot["reason"] == "RemoteReset"


async def test_a_rejected_station_takes_the_trigger_of_its_boot_and_nothing_else() -> None:
    """OCPP 2.0.1: TC_B_31, B03.FR.07."""
    async with Csms() as csms:
        csms.answers["BootNotification"] = boot_answers("Rejected", "Accepted", interval_s=600)
        async with LocalCharger(csms.url, "OCPP2.0.1") as charger:
            link = await csms.link()
            await charger.connection("rejected", "boot_rejected")
            with pytest.raises(SecurityError):
                await link.call(call201.TriggerMessage(requested_message="Heartbeat"))
            answer = await link.call(call201.TriggerMessage(requested_message="BootNotification"))
            assert answer.status == "Accepted"
            await charger.connection("accepted")

    assert link.all("BootNotification")[1]["reason"] == "Triggered"


@pytest.mark.parametrize("version", ["OCPP1.6"])
@pytest.mark.parametrize("status", ["Pending", "Rejected"])
async def test_a_triggered_boot_can_end_the_acceptance(talk: Talk, status: str) -> None:
    talk.csms.answers["BootNotification"] = boot_answers(status, "Accepted", interval_s=1)

    await talk.call("TriggerMessage", requested_message="BootNotification")

    await talk.charger.event(lambda event: event.get("reason") in ("boot_pending", "boot_rejected"))
    assert not talk.model.is_accepted
    talk.model.data_transfer.perform("PlugIn", None)
    await talk.charger.connection("accepted")
    await talk.status("Preparing")
    assert [call.action for call in talk.link.calls][:2] == ["BootNotification", "BootNotification"]


@VERSIONS
async def test_a_heartbeat_interval_that_is_set_to_what_it_is_does_not_begin_anew(talk: Talk) -> None:
    """Otherwise a CSMS that sets it more often than that gets no heartbeats."""

    async def set_to_a_second() -> None:
        await set_option(talk, "HeartbeatInterval", "OCPPCommCtrlr.HeartbeatInterval", "1")

    await set_to_a_second()
    async with asyncio.timeout(5):
        while not talk.link.all("Heartbeat"):
            await asyncio.sleep(0.3)
            await set_to_a_second()
