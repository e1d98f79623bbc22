"""OCPP 2.0.1: firmware updates and logs."""

from simulator.charge_point.common_requests import REJECTED, CommonRequests
from simulator.charge_point.maintenance import Update
from simulator.charge_point.translation import handles
from simulator.clock import parse_time
from simulator.link.frames import Payload


class Maintenance201(CommonRequests):
    def report_firmware(self, status: str, request_id: int | None) -> None:
        self.send_durable("FirmwareStatusNotification", _status(status, request_id))

    def report_log(self, status: str, request_id: int | None) -> None:
        self.send_durable("LogStatusNotification", _status(status, request_id))

    @handles("UpdateFirmware")
    def _update_firmware(self, payload: Payload) -> Payload:
        firmware = payload["firmware"]
        try:
            retrieve_at = parse_time(firmware["retrieveDateTime"])
            install_at = parse_time(firmware["installDateTime"]) if "installDateTime" in firmware else 0.0
        except ValueError:
            return REJECTED
        update = Update(
            location=firmware["location"],
            request_id=payload["requestId"],
            retrieve_at=retrieve_at,
            install_at=install_at,
            signed="signature" in firmware,
        )
        return {"status": "AcceptedCanceled" if self.maintenance.start_update(update) else "Accepted"}

    @handles("GetLog")
    def _get_log(self, payload: Payload) -> Payload:
        name, replaced = self.maintenance.upload_log(payload["log"]["remoteLocation"], payload["requestId"])
        return {"status": "AcceptedCanceled" if replaced else "Accepted", "filename": name}

    def trigger_firmware_status(self) -> None:
        update = self.maintenance.update
        payload = _status(self.maintenance.firmware_status, update.request_id if update else None)
        self.send("FirmwareStatusNotification", payload, requested=True)

    def trigger_log_status(self) -> None:
        uploads = self.maintenance.log_status == "Uploading"
        payload = _status("Uploading", self.maintenance.log_request_id) if uploads else _status("Idle", None)
        self.send("LogStatusNotification", payload, requested=True)


def _status(status: str, request_id: int | None) -> Payload:
    return {"status": status} | ({} if request_id is None else {"requestId": request_id})
