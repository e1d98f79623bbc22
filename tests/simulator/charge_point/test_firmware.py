"""Firmware updates, in both OCPP versions."""

import pytest
from ocpp.exceptions import OCPPError  # type: ignore[import-untyped]

from tests.simulator.firmware_forms import (
    CURRENT,
    NUMBERED,
    PLAIN,
    SIGNATURE,
    SIGNED,
    Form,
    certificate,
    in_forms,
)
from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import Link, Payload, call16, call201
from tests.support.waiting import wait_until_async


@in_forms()
@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_an_update_is_reported_step_by_step_and_boots_the_new_firmware(talk: Talk, form: Form) -> None:
    await form.send(talk)

    again = await talk.csms.link(2)
    boot = await again.next("BootNotification")
    await form.wait_for(again, "Installed")
    described = boot if talk.is_16 else boot["charging_station"]
    assert described["firmware_version"] == "fw-2.1.0"
    assert talk.is_16 or boot["reason"] == "FirmwareUpdate"
    steps = ["Downloading", "Downloaded", "SignatureVerified", "Installing", "InstallRebooting"]
    only_if_signed = {"SignatureVerified"} if form is CURRENT else set()
    not_in_16 = {"SignatureVerified", "InstallRebooting"} if form is PLAIN else set()
    assert form.statuses(talk.link) == [each for each in steps if each not in only_if_signed | not_in_16]
    assert form.statuses(again) == ["Installed"]
    numbers = {payload.get("request_id") for payload in talk.link.all(form.report)}
    assert numbers == {None if form is PLAIN else 4}


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_a_location_that_cannot_be_fails_to_download_and_changes_nothing(
    talk: Talk, form: Form
) -> None:
    """Home Assistant asks for this one, to see what a charger can."""
    await form.send(talk, "dummy://dummy")

    await form.wait_for(talk.link, "DownloadFailed")
    assert form.statuses(talk.link) == ["Downloading", "DownloadFailed"]
    assert talk.model.maintenance.firmware_version == "1.0.0"
    answer = await form.send(talk)
    assert form is PLAIN or answer.status == "Accepted"


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_a_failed_installation_leaves_the_old_firmware(talk: Talk, form: Form) -> None:
    await form.send(talk, "ftp://x/fail-install.bin")

    await talk.status("Unavailable")
    await form.wait_for(talk.link, "InstallationFailed")
    await talk.status("Available")
    assert talk.model.maintenance.firmware_version == "1.0.0"
    assert not talk.model.wants_reboot


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_that_is_canceled_while_it_waits_returns_the_connectors(
    talk: Talk, form: Form
) -> None:
    await talk.start()
    await form.send(talk)
    await talk.status("Unavailable", connector_id=2)

    answer = await form.send(talk, at=in_seconds(600))

    assert answer.status == "AcceptedCanceled"
    await talk.status("Available", connector_id=2)


@in_forms()
@pytest.mark.charger(job_step_s=0.01)
async def test_a_download_is_tried_again_as_often_as_the_request_says(talk: Talk, form: Form) -> None:
    """As EVerest counts: `retries` are attempts after the first. L01.FR.30: one Downloading per attempt."""
    await form.send(talk, "ftp://x/fail-download", retries=2, retry_interval=0)

    await form.wait_for(talk.link, "DownloadFailed")
    assert form.statuses(talk.link) == [*["Downloading"] * 3, "DownloadFailed"]


@in_forms()
@pytest.mark.charger(job_step_s=0.01)
async def test_the_next_attempt_waits_for_its_interval(talk: Talk, form: Form) -> None:
    await form.send(talk, "ftp://x/fail-download", retries=1, retry_interval=600)

    update = talk.model.maintenance.firmware.update
    assert update is not None
    await wait_until_async(lambda: update.retries == 0)
    assert form.statuses(talk.link) == ["Downloading"]


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_no_number_of_a_request_keeps_the_charger_busy_or_ends_it(talk: Talk, form: Form) -> None:
    await form.send(talk, "ftp://x/fail-download", retries=-5, retry_interval=-5)
    await form.wait_for(talk.link, "DownloadFailed")

    await form.send(talk, "ftp://x/fail-download", retries=2**31 - 1, retry_interval=2**31 - 1)

    await wait_until_async(lambda: len(form.statuses(talk.link)) == 3)
    update = talk.model.maintenance.firmware.update
    assert update is not None
    await wait_until_async(lambda: update.retries == 9)


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_waits_for_the_end_of_a_transaction(talk: Talk, form: Form) -> None:
    """L01.FR.06 and .07. It is InstallScheduled meanwhile, as TC_L_15_CS expects it."""
    await talk.start()
    await form.send(talk)
    await form.wait_for(talk.link, "Downloaded" if form is PLAIN else "InstallScheduled")
    await talk.status("Unavailable", connector_id=2)

    if talk.is_16:
        await talk.call("RemoteStopTransaction", transaction_id=4711)
    else:
        await talk.request_stop()

    await form.wait_for(talk.link, "Installing")
    assert form.statuses(talk.link).count("InstallScheduled") == (0 if form is PLAIN else 1)
    ended = "StopTransaction" if talk.is_16 else "TransactionEvent"
    actions = [call.action for call in talk.link.calls]
    assert actions.index(ended) < len(actions) - 1


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_waits_for_its_times(talk: Talk, form: Form) -> None:
    await form.send(talk, at=in_seconds(600))
    if form is PLAIN:
        await talk.call("TriggerMessage", requested_message="FirmwareStatusNotification")
        assert (await talk.link.next(form.report)) == {"status": "Idle"}
        return
    assert (await talk.link.next(form.report)) == {"status": "DownloadScheduled", "request_id": 4}

    answer = await form.send(talk, request_id=5, install_date_time=in_seconds(600))

    assert answer.status == "AcceptedCanceled"
    assert (await form.wait_for(talk.link, "InstallScheduled"))["request_id"] == 5
    assert "Installing" not in form.statuses(talk.link)


@in_forms()
@pytest.mark.charger(job_step_s=0.02)
async def test_a_time_in_the_past_is_now(talk: Talk, form: Form) -> None:
    more = {} if form is PLAIN else {"install_date_time": "2001-01-01T00:00:00Z"}
    await form.send(talk, at="2001-01-01T00:00:00Z", **more)

    await form.wait_for(talk.link, "Installing")
    assert not [status for status in form.statuses(talk.link) if "Scheduled" in status]


@in_forms()
async def test_what_is_no_time_is_refused(talk: Talk, form: Form) -> None:
    """UpdateFirmware.conf of 1.6 has no status, so it is a CALLERROR."""
    if form is PLAIN:
        with pytest.raises(OCPPError, match="not a time"):
            await form.send(talk, at="noon")
    else:
        for times in ({"at": "noon"}, {"install_date_time": "soon"}):
            answer = await form.send(talk, **times)
            assert answer.status == "Rejected"
            assert form is SIGNED or answer.status_info["reason_code"] == "InvalidValue"
    assert talk.model.maintenance.firmware.update is None


@in_forms()
@pytest.mark.charger(job_step_s=0.02, connectors=1)
async def test_an_update_follows_the_clock_of_the_csms(talk: Talk, form: Form) -> None:
    await form.send(talk, at=in_seconds(3600))

    talk.csms.answers["Heartbeat"] = {"current_time": in_seconds(3601)}
    await talk.call("TriggerMessage", requested_message="Heartbeat")

    await form.wait_for(talk.link, "Downloaded")


# Signatures


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_with_a_certificate_that_is_none_is_refused(talk: Talk, form: Form) -> None:
    """L01.FR.22; L01.FR.24 of the whitepaper."""
    answer = await form.send(talk, signing_certificate="junk", signature=SIGNATURE)

    assert answer.status == "InvalidCertificate"
    assert talk.model.maintenance.firmware.update is None


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_with_a_signature_that_is_none_is_not_installed(talk: Talk, form: Form) -> None:
    await form.send(talk, signing_certificate=certificate(), signature="junk")

    await form.wait_for(talk.link, "InvalidSignature")
    assert form.statuses(talk.link) == ["Downloading", "Downloaded", "InvalidSignature"]
    assert talk.model.maintenance.firmware_version == "1.0.0"


@pytest.mark.charger(job_step_s=0.02)
@pytest.mark.parametrize("version", ["OCPP2.0.1"])
@pytest.mark.parametrize("half", [{"signature": SIGNATURE}, {"signing_certificate": ""}])
async def test_a_signed_update_needs_signature_and_certificate(talk: Talk, half: Payload) -> None:
    """L01: "if a signature is missing entirely" it is InvalidSignature."""
    if "signing_certificate" in half:
        half = {"signing_certificate": certificate()}

    await CURRENT.send(talk, **half)

    await CURRENT.wait_for(talk.link, "InvalidSignature")


@in_forms(NUMBERED)
@pytest.mark.charger(job_step_s=0.02)
async def test_a_well_formed_signature_can_be_made_to_fail(talk: Talk, form: Form) -> None:
    given = {"signing_certificate": certificate(), "signature": SIGNATURE}
    await form.send(talk, "https://files.example/fail-signature.bin", **given)

    await form.wait_for(talk.link, "InvalidSignature")


# TriggerMessage


@in_forms()
@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_a_triggered_status_is_the_last_one_and_idle_after_a_success(talk: Talk, form: Form) -> None:
    """L01.FR.25 and .26; L01.FR.28 and .29 of the whitepaper."""
    assert await triggered(talk.link, form) == {"status": "Idle"}

    await form.send(talk, "ftp://x/fail-download")
    await form.wait_for(talk.link, "DownloadFailed")
    number = {} if form is PLAIN else {"request_id": 4}
    assert await triggered(talk.link, form) == {"status": "DownloadFailed"} | number

    await form.send(talk)
    again = await talk.csms.link(2)
    await form.wait_for(again, "Installed")
    assert await triggered(again, form) == {"status": "Idle"}


@pytest.mark.charger(job_step_s=0.02)
@pytest.mark.parametrize("version", ["OCPP1.6"])
async def test_each_message_of_1_6_has_the_status_of_its_own_kind_of_update(talk: Talk) -> None:
    await SIGNED.send(talk, "ftp://x/fail-download")
    await SIGNED.wait_for(talk.link, "DownloadFailed")

    assert await triggered(talk.link, PLAIN) == {"status": "Idle"}
    assert (await triggered(talk.link, SIGNED))["status"] == "DownloadFailed"


async def triggered(link: Link, form: Form) -> Payload:
    known = len(link.all(form.report))
    request = call16.ExtendedTriggerMessage if form is SIGNED else call16.TriggerMessage
    if form is CURRENT:
        request = call201.TriggerMessage
    answer = await link.call(request(requested_message="FirmwareStatusNotification"))
    assert answer.status == "Accepted"
    await wait_until_async(lambda: len(link.all(form.report)) > known)
    return link.all(form.report)[-1]
