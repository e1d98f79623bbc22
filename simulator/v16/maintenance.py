"""OCPP 1.6: firmware updates and diagnostics, and the signed updates and logs of its security extensions."""

from collections.abc import Iterator
from contextlib import contextmanager

from ocpp.exceptions import GenericError, TypeConstraintViolationError  # type: ignore[import-untyped]

from simulator.charge_point.common_requests import REJECTED
from simulator.charge_point.maintenance.firmware import Update
from simulator.charge_point.maintenance.requests import MaintenanceRequests, numbered
from simulator.charge_point.maintenance.transfers import attempts_of
from simulator.charge_point.translation import handles
from simulator.clock import parse_time
from simulator.link.frames import Payload

FIRMWARE_STATUSES = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)
#: A FirmwareStatusNotification that was triggered says these for the statuses that only 2.0.1 has.
NEAREST_STATUS = {
    "DownloadScheduled": "Idle",
    "InstallScheduled": "Downloaded",
    "InstallRebooting": "Installing",
}


class Maintenance16(MaintenanceRequests):
    def report_firmware(self, status: str, request_id: int | None) -> None:
        """An update with a number is a signed one: it has a message of its own, with all statuses of 2.0.1."""
        if request_id is not None:
            self.send_durable(
                "SignedFirmwareStatusNotification", numbered(status, request_id), requested=True
            )
        elif status in FIRMWARE_STATUSES:
            self.send_durable("FirmwareStatusNotification", {"status": status}, requested=True)

    def report_log(self, status: str, request_id: int | None) -> None:
        """An upload that another one cancels has failed: 1.6 has no status for it."""
        if request_id is not None:
            super().report_log("UploadFailure" if status == "AcceptedCanceled" else status, request_id)
            return
        diagnostics_status = status if status in ("Uploading", "Uploaded") else "UploadFailed"
        self.send_durable("DiagnosticsStatusNotification", {"status": diagnostics_status}, requested=True)

    @handles("UpdateFirmware")
    def _update_firmware(self, payload: Payload) -> Payload:
        """Its answer has no status, so a refusal is a CALLERROR."""
        if self.delivery.outbox.is_busy:
            raise GenericError("too many messages wait")
        retries, retry_interval_s = attempts_of(payload)
        with _refusing_bad_times():
            retrieve_at = parse_time(payload["retrieveDate"])
        update = Update(
            location=payload["location"],
            request_id=None,
            retrieve_at=retrieve_at,
            retries=retries,
            retry_interval_s=retry_interval_s,
        )
        if self.maintenance.firmware.start(update) == "Rejected":
            self.log.remark("warning", "UpdateFirmware is ignored: the charger reboots into another firmware")
        return {}

    @handles("SignedUpdateFirmware", when_busy=REJECTED)
    def _signed_update_firmware(self, payload: Payload) -> Payload:
        return {"status": self.update_firmware(payload)}

    @handles("GetDiagnostics", when_busy={})
    def _get_diagnostics(self, payload: Payload) -> Payload:
        """The answer names no file when there are no diagnostics of that time (6.26)."""
        with _refusing_bad_times():
            has_entries = self.has_log_entries(payload.get("startTime"), payload.get("stopTime"))
        if not has_entries:
            return {}
        self.upload_log(payload["location"], None, payload)
        return {"fileName": self.file_name("diagnostics")}

    def trigger_firmware_status(self) -> None:
        status, _ = self.maintenance.firmware.trigger_status(numbered=False)
        payload = {"status": NEAREST_STATUS.get(status, status)}
        self.send("FirmwareStatusNotification", payload, requested=True)

    def trigger_signed_firmware_status(self) -> None:
        status, request_id = self.maintenance.firmware.trigger_status(numbered=True)
        self.send("SignedFirmwareStatusNotification", numbered(status, request_id), requested=True)

    def trigger_diagnostics_status(self) -> None:
        upload = self.maintenance.log_uploads.upload
        status = "Uploading" if upload and upload.request_id is None else "Idle"
        self.send("DiagnosticsStatusNotification", {"status": status}, requested=True)


@contextmanager
def _refusing_bad_times() -> Iterator[None]:
    """Raises TypeConstraintViolationError: the answers of these requests have no status to refuse a time with."""
    try:
        yield
    except ValueError as error:
        raise TypeConstraintViolationError(f"this is not a time: {error}") from error
