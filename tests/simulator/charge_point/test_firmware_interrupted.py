"""Firmware updates that another one, a reboot or the end of the process interrupts."""

from pathlib import Path

import pytest

from tests.simulator.charger import LocalCharger
from tests.simulator.firmware_forms import (
    LOCATION,
    NUMBERED,
    PLAIN,
    SIGNED,
    Form,
    in_forms,
)
from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import NOW, Csms, Payload, call16, call201
from tests.support.waiting import wait_until_async


@pytest.mark.parametrize("version", ["OCPP1.6"])
@pytest.mark.parametrize(("first", "second"), [(PLAIN, SIGNED), (SIGNED, PLAIN)])
async def test_an_update_that_one_of_the_other_kind_cancels_has_failed(
    talk: Talk, first: Form, second: Form
) -> None:
    """Neither the answer nor the messages of 1.6's UpdateFirmware can name the other one."""
    await first.send(talk)

    await second.send(talk)

    await second.wait_for(talk.link, "Downloading")
    assert first.statuses(talk.link) == ["Downloading", "DownloadFailed"]


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_an_update_is_rejected_while_the_charger_reboots_into_another(talk: Talk, form: Form) -> None:
    """L01.FR.27: it can no longer cancel that one."""
    answers: list[Payload] = []

    def take(payload: Payload) -> Payload:
        if payload["status"] == "InstallRebooting":
            answers.append(talk.model.answer(form.request, another))
        return {}

    firmware = {"location": LOCATION, "retrieveDateTime": NOW}
    another = {"requestId": 5, "firmware": firmware}
    talk.csms.answers[form.report] = take

    await form.send(talk)

    again = await talk.csms.link(2)
    assert (await form.wait_for(again, "Installed"))["request_id"] == 4
    assert [answer["status"] for answer in answers] == ["Rejected"]


@in_forms()
@pytest.mark.charger(reboot_s=0.02)
@pytest.mark.parametrize(
    ("status", "afterwards"), [("Downloading", "DownloadFailed"), ("Installing", "InstallationFailed")]
)
async def test_a_reset_fails_what_is_in_progress(
    talk: Talk, form: Form, status: str, afterwards: str
) -> None:
    firmware = talk.model.maintenance.firmware
    if status == "Installing":
        await talk.start()
        firmware._step_s = 0.01
        await form.send(talk)
        await wait_until_async(lambda: firmware.update and firmware.update.status == "InstallScheduled")
        firmware._step_s = 600
        talk.model.station.transactions.end_all("Reboot")
    else:
        await form.send(talk)
    await form.wait_for(talk.link, status)

    await talk.call("Reset", type="Soft" if talk.is_16 else "Immediate")

    again = await talk.csms.link(2)
    await form.wait_for(again, afterwards)
    assert form.statuses(again) == [afterwards]
    assert talk.model.maintenance.firmware_version == "1.0.0"


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
@pytest.mark.parametrize("status", ["DownloadScheduled", "InstallScheduled"])
async def test_a_reset_keeps_what_is_scheduled(talk: Talk, form: Form, status: str) -> None:
    firmware = talk.model.maintenance.firmware
    later = {"at" if status == "DownloadScheduled" else "install_date_time": in_seconds(600)}
    await form.send(talk, **later)
    await wait_until_async(lambda: firmware.update and firmware.update.status == status)

    await talk.call("Reset", type="Hard" if talk.is_16 else "Immediate")
    again = await talk.csms.accepted(2)
    talk.csms.answers["Heartbeat"] = {"current_time": in_seconds(601)}
    await again.call((call16 if talk.is_16 else call201).TriggerMessage(requested_message="Heartbeat"))

    await form.wait_for(again, "Installing")


@in_forms()
async def test_an_update_that_a_restart_interrupted_has_failed(
    version: str, form: Form, tmp_path: Path
) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json", "job_step_s": 600}
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, **settings):
            first = await csms.accepted()
            await first.call(form.build())
            await form.wait_for(first, "Downloading")

        async with LocalCharger(csms.url, version, **settings):
            second = await csms.link(2)
            await form.wait_for(second, "DownloadFailed")


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
def test_a_version_in_the_settings_counts_when_it_was_changed(version: str, tmp_path: Path) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json"}
    charger = LocalCharger("ws://csms", version, **settings).model
    charger.maintenance.firmware.version = "2.0.0"
    charger.memory.save()

    for configured, expected in (("1.0.0", "2.0.0"), ("3.0.0", "3.0.0")):
        again = LocalCharger("ws://csms", version, firmware_version=configured, **settings).model
        assert again.maintenance.firmware_version == expected


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_an_update_of_an_older_state_file_without_its_status_is_dropped(
    version: str, tmp_path: Path
) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json"}
    charger = LocalCharger("ws://csms", version, **settings)
    state = charger.model.describe() | {"clean": True}
    state["update"] = {"location": LOCATION, "request_id": 4, "retrieve_at": 0.0, "reboots": False}

    charger.model.recall(state)

    assert charger.model.maintenance.firmware.update is None


@in_forms()
@pytest.mark.parametrize("with_state_file", [True, False])
@pytest.mark.parametrize("at", [NOW, in_seconds(600)])
async def test_a_charger_that_is_switched_off_reports_what_it_leaves_undone(
    version: str, form: Form, at: str, with_state_file: bool, tmp_path: Path
) -> None:
    """Nobody knows whether it comes back. Only with a state file it can keep a schedule."""
    settings: Payload = {"state_file": tmp_path / "state.json"} if with_state_file else {}
    kept = with_state_file and at != NOW
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, job_step_s=600, **settings) as charger:
            link = await csms.accepted()
            await link.call(form.build(at=at))
            await charger.switch_off()

        assert (form.statuses(link)[-1:] == ["DownloadFailed"]) is not kept
    state = charger.model.maintenance.firmware.update
    assert state is not None
    assert state.status == ("DownloadScheduled" if kept else "DownloadFailed")
