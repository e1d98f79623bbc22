"""Uploads of logs: GetLog of both versions, and GetDiagnostics of OCPP 1.6."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
from ocpp.exceptions import OCPPError  # type: ignore[import-untyped]

from tests.simulator.charger import LocalCharger
from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import NOW, Csms, Link, Payload, call16, call201
from tests.support.waiting import wait_until_async

LOCATION = "sftp://files.example/logs/"


class Form(NamedTuple):
    version: str
    request: str
    report: str
    failure: str

    def build(self, location: str = LOCATION, request_id: int = 8, **more: Any) -> Any:
        """The request; `more` are `retries`, `retry_interval`, `oldest` and `latest`."""
        attempts = {name: more.pop(name) for name in ("retries", "retry_interval") if name in more}
        first, last = (
            ("start_time", "stop_time") if self is PLAIN else ("oldest_timestamp", "latest_timestamp")
        )
        times = {{"oldest": first, "latest": last}[name]: value for name, value in more.items()}
        if self is PLAIN:
            return call16.GetDiagnostics(location=location, **attempts, **times)
        return (call16 if self is NUMBERED_16 else call201).GetLog(
            log={"remote_location": location, **times},
            log_type="SecurityLog",
            request_id=request_id,
            **attempts,
        )

    async def send(self, talk: Talk, *positional: Any, **named: Any) -> Any:
        return await talk.link.call(self.build(*positional, **named))

    def statuses(self, link: Link) -> list[tuple[str, int | None]]:
        return [(payload["status"], payload.get("request_id")) for payload in link.all(self.report)]


PLAIN = Form("OCPP1.6", "GetDiagnostics", "DiagnosticsStatusNotification", "UploadFailed")
NUMBERED_16 = Form("OCPP1.6", "GetLog", "LogStatusNotification", "UploadFailure")
CURRENT = Form("OCPP2.0.1", "GetLog", "LogStatusNotification", "UploadFailure")
FORMS = {"1.6": PLAIN, "1.6 GetLog": NUMBERED_16, "2.0.1": CURRENT}

in_forms = pytest.mark.parametrize(
    ("version", "form"), [(form.version, form) for form in FORMS.values()], ids=FORMS
)


def number(form: Form, request_id: int = 8) -> int | None:
    return None if form is PLAIN else request_id


@in_forms
@pytest.mark.charger(job_step_s=0.02)
async def test_a_log_is_named_and_its_upload_is_reported(talk: Talk, form: Form) -> None:
    answer = await form.send(talk)

    name = answer.file_name if form is PLAIN else answer.filename
    assert name.startswith("diagnostics-" if form is PLAIN else "security-")
    assert form is PLAIN or answer.status == "Accepted"
    await wait_until_async(lambda: len(form.statuses(talk.link)) == 2)
    assert form.statuses(talk.link) == [("Uploading", number(form)), ("Uploaded", number(form))]


@in_forms
@pytest.mark.charger(job_step_s=0.02)
@pytest.mark.parametrize("location", ["dummy://dummy", "ftp://x/fail-upload"])
async def test_an_upload_that_cannot_be_fails_after_its_attempts(
    talk: Talk, form: Form, location: str
) -> None:
    await form.send(talk, location, retries=1, retry_interval=0)

    await wait_until_async(lambda: (form.failure, number(form)) in form.statuses(talk.link))
    assert [status for status, _ in form.statuses(talk.link)] == ["Uploading", "Uploading", form.failure]


@in_forms
@pytest.mark.charger(job_step_s=600)
async def test_a_request_during_an_upload_cancels_it_and_says_so(talk: Talk, form: Form) -> None:
    """N01.FR.12 and .20. The whitepaper of 1.6 has no status for it, so that upload has failed."""
    await form.send(talk)
    await wait_until_async(lambda: form.statuses(talk.link))

    talk.model.maintenance.log_uploads._step_s = 0.01
    answer = await form.send(talk, request_id=9)

    assert form is PLAIN or answer.status == "AcceptedCanceled"
    await wait_until_async(lambda: ("Uploaded", number(form, 9)) in form.statuses(talk.link))
    assert form.statuses(talk.link) == [
        ("Uploading", number(form)),
        ("AcceptedCanceled" if form is CURRENT else form.failure, number(form)),
        ("Uploading", number(form, 9)),
        ("Uploaded", number(form, 9)),
    ]


FIRMWARE = {"location": "dummy://dummy", "retrieveDateTime": NOW}
NOT_GENUINE = {"requestId": 1, "firmware": FIRMWARE | {"signingCertificate": "junk", "signature": "junk"}}
GET_LOG = {"requestId": 1, "logType": "SecurityLog", "log": {"remoteLocation": LOCATION}}


@pytest.mark.charger(job_step_s=600)
@pytest.mark.parametrize(
    ("version", "action", "request_", "refusal"),
    [
        ("OCPP1.6", "GetDiagnostics", {"location": LOCATION}, {}),
        ("OCPP1.6", "GetLog", GET_LOG, {"status": "Rejected"}),
        ("OCPP1.6", "SignedUpdateFirmware", NOT_GENUINE, {"status": "Rejected"}),
        ("OCPP2.0.1", "GetLog", GET_LOG, {"status": "Rejected"}),
        ("OCPP2.0.1", "UpdateFirmware", {"requestId": 1, "firmware": FIRMWARE}, {"status": "Rejected"}),
        ("OCPP2.0.1", "UpdateFirmware", NOT_GENUINE, {"status": "Rejected"}),
    ],
)
async def test_more_requests_than_the_csms_takes_reports_are_refused(
    talk: Talk, action: str, request_: Payload, refusal: Payload
) -> None:
    """Their reports would take the room of messages about transactions."""
    answers = [talk.model.answer(action, request_) for _ in range(150)]

    assert answers[0] != refusal
    assert answers[-1] == refusal
    assert len(list(talk.model.delivery.outbox.durable())) <= 102
    await wait_until_async(lambda: not any(talk.model.delivery.outbox.durable()))
    assert talk.model.answer(action, request_) != refusal


@pytest.mark.charger(job_step_s=600)
@pytest.mark.parametrize("version", ["OCPP1.6"])
async def test_an_update_that_has_no_status_to_refuse_it_with_is_a_callerror(talk: Talk) -> None:
    request = {"location": LOCATION, "retrieveDate": NOW}
    with pytest.raises(OCPPError, match="too many messages wait"):
        for _ in range(150):
            talk.model.answer("UpdateFirmware", request)


@in_forms
@pytest.mark.parametrize(("oldest", "latest"), [(in_seconds(600), None), (in_seconds(-60), in_seconds(-600))])
async def test_without_entries_of_that_time_nothing_is_uploaded(
    talk: Talk, form: Form, oldest: str, latest: str | None
) -> None:
    """N01.FR.05; GetDiagnostics.conf then has no file name (OCPP 1.6, 6.26)."""
    answer = await form.send(talk, oldest=oldest, **({"latest": latest} if latest else {}))

    if form is PLAIN:
        assert answer.file_name is None
    else:
        assert (answer.status, answer.filename) == ("Rejected", None)
        assert form is NUMBERED_16 or answer.status_info["reason_code"] == "NotFound"
    assert talk.model.maintenance.log_uploads.upload is None


@in_forms
@pytest.mark.charger(job_step_s=0.02)
async def test_a_time_that_has_not_come_yet_ends_the_log_now(talk: Talk, form: Form) -> None:
    await form.send(talk, oldest=in_seconds(-600), latest=in_seconds(600))

    await wait_until_async(lambda: ("Uploaded", number(form)) in form.statuses(talk.link))


@in_forms
async def test_what_is_no_time_is_refused(talk: Talk, form: Form) -> None:
    if form is PLAIN:
        with pytest.raises(OCPPError, match="not a time"):
            await form.send(talk, oldest="noon")
    else:
        assert (await form.send(talk, latest="noon")).status == "Rejected"


@in_forms
@pytest.mark.charger(job_step_s=600, reboot_s=0.02)
async def test_a_reset_fails_the_upload_which_is_reported_after_the_boot(talk: Talk, form: Form) -> None:
    await form.send(talk)
    await wait_until_async(lambda: form.statuses(talk.link))

    await talk.call("Reset", type="Hard" if talk.is_16 else "Immediate")

    again = await talk.csms.link(2)
    await wait_until_async(lambda: form.statuses(again))
    assert form.statuses(again) == [(form.failure, number(form))]
    assert await triggered(again, form) == ("Idle", None)


@in_forms
async def test_an_upload_that_a_restart_interrupted_has_failed(
    version: str, form: Form, tmp_path: Path
) -> None:
    settings: Payload = {"state_file": tmp_path / "state.json", "job_step_s": 600}
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, **settings):
            first = await csms.accepted()
            await first.call(form.build())
            await wait_until_async(lambda: form.statuses(first))

        async with LocalCharger(csms.url, version, **settings):
            second = await csms.link(2)
            await wait_until_async(lambda: form.statuses(second) == [(form.failure, number(form))])


@in_forms
async def test_a_charger_that_is_switched_off_reports_its_upload_as_failed(version: str, form: Form) -> None:
    async with Csms() as csms:
        async with LocalCharger(csms.url, version, job_step_s=600) as charger:
            link = await csms.accepted()
            await link.call(form.build())
            await charger.switch_off()

        assert form.statuses(link)[-1] == (form.failure, number(form))


@in_forms
@pytest.mark.charger(job_step_s=600)
async def test_a_triggered_status_is_that_of_the_upload_in_progress(talk: Talk, form: Form) -> None:
    """N01.FR.13; N01.FR.12 of the whitepaper."""
    assert await triggered(talk.link, form) == ("Idle", None)

    await form.send(talk)
    await wait_until_async(lambda: len(form.statuses(talk.link)) == 2)

    assert await triggered(talk.link, form) == ("Uploading", number(form))


@pytest.mark.charger(job_step_s=600)
@pytest.mark.parametrize("version", ["OCPP1.6"])
async def test_each_message_of_1_6_has_the_status_of_its_own_kind_of_upload(talk: Talk) -> None:
    await NUMBERED_16.send(talk)
    assert await triggered(talk.link, PLAIN) == ("Idle", None)

    await PLAIN.send(talk)

    await wait_until_async(lambda: ("Uploading", None) in PLAIN.statuses(talk.link))
    assert ("UploadFailure", 8) in NUMBERED_16.statuses(talk.link)
    assert await triggered(talk.link, NUMBERED_16) == ("Idle", None)


async def triggered(link: Link, form: Form) -> tuple[str, int | None]:
    known = len(form.statuses(link))
    request = {PLAIN: call16.TriggerMessage, NUMBERED_16: call16.ExtendedTriggerMessage}.get(
        form, call201.TriggerMessage
    )
    answer = await link.call(request(requested_message=form.report))
    assert answer.status == "Accepted"
    await wait_until_async(lambda: len(form.statuses(link)) > known)
    return form.statuses(link)[-1]
