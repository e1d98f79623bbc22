"""OCPP 1.6: firmware and diagnostics."""

import pytest

from tests.simulator.talk import Talk
from tests.support.csms import NOW


@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_a_firmware_update_is_reported_step_by_step_and_boots_the_new_one(talk: Talk) -> None:
    await talk.call("UpdateFirmware", location="https://files.example/fw-2.1.0.bin", retrieve_date=NOW)

    again = await talk.csms.link(2)
    boot = await again.next("BootNotification")

    await again.next("FirmwareStatusNotification")
    steps = [payload["status"] for payload in talk.link.all("FirmwareStatusNotification")]
    assert steps == ["Downloading", "Downloaded", "Installing"]
    assert again.all("FirmwareStatusNotification") == [{"status": "Installed"}]
    assert boot["firmware_version"] == "fw-2.1.0"


@pytest.mark.charger(job_step_s=0.02)
@pytest.mark.parametrize(
    ("location", "last"),
    [("ftp://x/fail-download", "DownloadFailed"), ("ftp://x/fail-install", "InstallationFailed")],
)
async def test_a_firmware_update_can_be_made_to_fail(talk: Talk, location: str, last: str) -> None:
    await talk.call("UpdateFirmware", location=location, retrieve_date=NOW)

    await talk.link.next("FirmwareStatusNotification", lambda payload: payload["status"] == last)

    assert talk.model.maintenance.update is None


@pytest.mark.charger(job_step_s=0.02)
async def test_an_update_waits_for_the_end_of_a_transaction(talk: Talk) -> None:
    await talk.start()
    await talk.call("UpdateFirmware", location="https://files.example/fw.bin", retrieve_date=NOW)
    await talk.link.next("FirmwareStatusNotification", lambda payload: payload["status"] == "Downloaded")

    await talk.call("RemoteStopTransaction", transaction_id=4711)

    await talk.link.next("FirmwareStatusNotification", lambda payload: payload["status"] == "Installing")
    actions = [call.action for call in talk.link.calls]
    assert actions.index("StopTransaction") < len(actions) - 1


@pytest.mark.charger(job_step_s=0.02)
@pytest.mark.parametrize(
    ("location", "last"), [("ftp://x/logs", "Uploaded"), ("ftp://x/fail-upload", "UploadFailed")]
)
async def test_diagnostics_are_named_and_their_upload_is_reported(
    talk: Talk, location: str, last: str
) -> None:
    answer = await talk.call("GetDiagnostics", location=location)

    assert answer.file_name.endswith(".txt")
    await talk.link.next("DiagnosticsStatusNotification", lambda payload: payload["status"] == "Uploading")
    await talk.link.next("DiagnosticsStatusNotification", lambda payload: payload["status"] == last)
