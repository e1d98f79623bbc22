"""OCPP 2.0.1: firmware and logs."""

from typing import Any

import pytest

from tests.simulator.talk import Talk, in_seconds
from tests.support.csms import NOW, Payload


def firmware(location: str, **more: Any) -> Payload:
    return {"request_id": 4, "firmware": {"location": location, "retrieve_date_time": NOW, **more}}


@pytest.mark.charger(job_step_s=0.02, reboot_s=0.02)
async def test_a_firmware_update_is_reported_step_by_step_and_boots_the_new_one(talk: Talk) -> None:
    given = firmware("https://files.example/fw-3.0.bin", signature="s", signing_certificate="c")

    assert (await talk.call("UpdateFirmware", **given)).status == "Accepted"

    again = await talk.csms.link(2)
    boot = await again.next("BootNotification")
    assert (boot["reason"], boot["charging_station"]["firmware_version"]) == ("FirmwareUpdate", "fw-3.0")
    assert (await again.next("FirmwareStatusNotification"))["status"] == "Installed"
    reported = talk.link.all("FirmwareStatusNotification")
    assert [payload["status"] for payload in reported] == [
        "Downloading",
        "Downloaded",
        "SignatureVerified",
        "Installing",
        "InstallRebooting",
    ]
    assert {payload["request_id"] for payload in reported} == {4}


async def test_a_later_update_replaces_one_that_waits(talk: Talk) -> None:
    later = firmware("https://files.example/fw.bin") | {
        "firmware": {"location": "https://files.example/fw.bin", "retrieve_date_time": in_seconds(600)}
    }
    assert (await talk.call("UpdateFirmware", **later)).status == "Accepted"
    assert (await talk.link.next("FirmwareStatusNotification"))["status"] == "DownloadScheduled"

    assert (await talk.call("UpdateFirmware", **later)).status == "AcceptedCanceled"


@pytest.mark.charger(job_step_s=0.02)
async def test_a_log_is_named_and_its_upload_is_reported(talk: Talk) -> None:
    request: Payload = {"log": {"remote_location": "ftp://x/"}, "log_type": "DiagnosticsLog"}

    answer = await talk.call("GetLog", request_id=8, **request)

    assert answer.status == "Accepted"
    assert answer.filename.endswith(".txt")
    reported = [await talk.link.next("LogStatusNotification") for _ in range(2)]
    assert [(payload["status"], payload["request_id"]) for payload in reported] == [
        ("Uploading", 8),
        ("Uploaded", 8),
    ]
