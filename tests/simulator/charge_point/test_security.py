"""Security events: SecurityEventNotification, in both versions."""

from collections.abc import Callable
from pathlib import Path

import pytest
from ocpp.exceptions import NotImplementedError  # type: ignore[import-untyped]

from simulator.clock import parse_time
from tests.simulator.charger import LocalCharger
from tests.simulator.firmware_forms import (
    FORMS,
    LOCATION,
    NUMBERED,
    SIGNATURE,
    Form,
    certificate,
    in_forms,
)
from tests.simulator.talk import Talk, in_seconds, start_remotely
from tests.support.csms import Csms, Link, Payload
from tests.support.waiting import wait_until_async

VERSIONS = pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])


def events(link: Link) -> list[str]:
    return [payload["type"] for payload in link.all("SecurityEventNotification")]


@VERSIONS
async def test_a_start_is_reported_behind_the_boot_and_before_the_statuses(version: str) -> None:
    """A04.FR.01; the clock of the test's CSMS differs from that of the machine."""
    async with Csms() as csms, LocalCharger(csms.url, version):
        link = await csms.accepted()

        assert events(link) == ["StartupOfTheDevice", "SettingSystemTime"]
        actions = [call.action for call in link.calls]
        assert actions[0] == "BootNotification"
        assert actions.index("SecurityEventNotification") < actions.index("StatusNotification")
        assert link.all("SecurityEventNotification")[0]["tech_info"] == "PowerUp, firmware 1.0.0"


@VERSIONS
@pytest.mark.charger(reboot_s=0.02)
async def test_a_reset_is_reported_after_the_boot(talk: Talk) -> None:
    await talk.call("Reset", type="Hard" if talk.is_16 else "Immediate")

    again = await talk.csms.accepted(2)
    await wait_until_async(lambda: events(again))
    assert events(again)[0] == "ResetOrReboot"
    assert "StartupOfTheDevice" not in events(again)


@VERSIONS
async def test_a_clock_that_the_csms_sets_is_reported_and_a_small_difference_is_not(talk: Talk) -> None:
    for moment in (1.9, 3600):
        talk.csms.answers["Heartbeat"] = {"current_time": in_seconds(moment)}
        await talk.call("TriggerMessage", requested_message="Heartbeat")
        await wait_until_async(lambda at=moment: talk.model.clock.now() >= parse_time(in_seconds(at)))  # type: ignore[misc]

    await wait_until_async(lambda: not any(talk.model.delivery.outbox.durable()))
    assert events(talk.link) == ["SettingSystemTime"]


@in_forms(FORMS)
@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_new_firmware_is_reported(talk: Talk, form: Form) -> None:
    """L01.FR.31."""
    await form.send(talk)

    again = await talk.csms.link(2)
    event = await again.next("SecurityEventNotification", of_type("FirmwareUpdated"))
    assert event["tech_info"] == "firmware fw-2.1.0"


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02)
async def test_firmware_that_is_not_genuine_is_reported(talk: Talk, form: Form) -> None:
    """L01.FR.02 and .03."""
    await form.send(talk, signing_certificate="junk", signature=SIGNATURE)
    await talk.link.next("SecurityEventNotification", of_type("InvalidFirmwareSigningCertificate"))

    await form.send(talk, LOCATION, signing_certificate=certificate(), signature="junk")
    await talk.link.next("SecurityEventNotification", of_type("InvalidFirmwareSignature"))


@VERSIONS
async def test_events_of_offline_times_are_delivered_once_also_after_a_restart(
    version: str, tmp_path: Path
) -> None:
    """A04.FR.02: queued with a guaranteed delivery."""
    state_file = tmp_path / "state.json"
    async with Csms() as csms:
        refusing = Csms(admit=lambda _: (503, ""))
        async with refusing, LocalCharger(refusing.url, version, state_file=state_file):
            await wait_until_async(lambda: refusing.requests)

        async with LocalCharger(csms.url, version, state_file=state_file):
            link = await csms.accepted()

        assert events(link).count("StartupOfTheDevice") == 2


@VERSIONS
async def test_a_csms_that_does_not_know_the_message_delays_nothing(version: str) -> None:
    def refuse(_: Payload) -> Payload:
        raise NotImplementedError("SecurityEventNotification")

    async with Csms() as csms, LocalCharger(csms.url, version, ev_plug_in_s=0) as charger:
        csms.answers["SecurityEventNotification"] = refuse
        link = await csms.accepted()

        await start_remotely(link, version)

        assert events(link) == ["StartupOfTheDevice", "SettingSystemTime"]
        assert len(charger.remarks()) == 2


@VERSIONS
async def test_a_csms_that_closes_the_link_on_the_message_gets_it_three_times(version: str) -> None:
    """Otherwise such a CSMS and the charger would never come to anything else."""
    async with Csms() as csms, LocalCharger(csms.url, version) as charger:

        async def close(_: Payload) -> Payload:
            await csms.links[-1].socket.close()
            return {}

        csms.answers["SecurityEventNotification"] = close

        await wait_until_async(lambda: csms.links and csms.links[-1].all("StatusNotification"))

        assert [event for link in csms.links for event in events(link)] == [
            *["StartupOfTheDevice"] * 3,
            *["SettingSystemTime"] * 3,
        ]
        assert len([remark for remark in charger.remarks() if "given up" in remark]) == 2


@VERSIONS
async def test_an_event_that_is_not_critical_is_only_in_the_log(talk: Talk) -> None:
    """A04.FR.04."""
    value = "0123456789ABCDEF0123456789ABCDEF01234567"
    if talk.is_16:
        await talk.call("ChangeConfiguration", key="AuthorizationKey", value=value)
    else:
        password = {
            "component": {"name": "SecurityCtrlr"},
            "variable": {"name": "BasicAuthPassword"},
            "attribute_value": value,
        }
        await talk.call("SetVariables", set_variable_data=[password])

    assert "security event ReconfigurationOfSecurityParameters: the password was changed" in (
        talk.charger.remarks()
    )
    assert events(talk.link) == []


def of_type(event: str) -> Callable[[dict[str, str]], bool]:
    return lambda payload: payload["type"] == event
