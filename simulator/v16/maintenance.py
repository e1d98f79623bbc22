"""OCPP 1.6: firmware updates and diagnostics."""

from simulator.charge_point.common_requests import CommonRequests
from simulator.charge_point.maintenance import Update
from simulator.charge_point.translation import handles
from simulator.clock import parse_time
from simulator.link.frames import Payload

#: The others are statuses of 2.0.1 only.
FIRMWARE_STATUSES = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)


class Maintenance16(CommonRequests):
    def report_firmware(self, status: str, request_id: int | None) -> None:
        if status in FIRMWARE_STATUSES:
            self.send_durable("FirmwareStatusNotification", {"status": status})

    def report_log(self, status: str, request_id: int | None) -> None:
        status = "UploadFailed" if status == "UploadFailure" else status
        self.send_durable("DiagnosticsStatusNotification", {"status": status})

    @handles("UpdateFirmware")
    def _update_firmware(self, payload: Payload) -> Payload:
        try:
            retrieve_at = parse_time(payload["retrieveDate"])
        except ValueError:
            retrieve_at = self.clock.now()
        self.maintenance.start_update(
            Update(payload["location"], request_id=None, retrieve_at=retrieve_at, install_at=0.0)
        )
        return {}

    @handles("GetDiagnostics")
    def _get_diagnostics(self, payload: Payload) -> Payload:
        name, _ = self.maintenance.upload_log(payload["location"], None)
        return {"fileName": name}

    def trigger_firmware_status(self) -> None:
        status = self.maintenance.firmware_status
        payload = {"status": status if status in FIRMWARE_STATUSES else "Downloaded"}
        self.send("FirmwareStatusNotification", payload, requested=True)

    def trigger_diagnostics_status(self) -> None:
        status = "Uploading" if self.maintenance.log_status == "Uploading" else "Idle"
        self.send("DiagnosticsStatusNotification", {"status": status}, requested=True)
