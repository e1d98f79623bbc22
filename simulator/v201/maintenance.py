"""OCPP 2.0.1: firmware updates."""

from simulator.charge_point.maintenance.requests import MaintenanceRequests, numbered
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload


class Maintenance201(MaintenanceRequests):
    def report_firmware(self, status: str, request_id: int | None) -> None:
        self.send_durable("FirmwareStatusNotification", numbered(status, request_id))

    @handles("UpdateFirmware")
    def _update_firmware(self, payload: Payload) -> Payload:
        return {"status": self.update_firmware(payload)}

    def trigger_firmware_status(self) -> None:
        status, request_id = self.maintenance.firmware.trigger_status(numbered=True)
        self.send("FirmwareStatusNotification", numbered(status, request_id), requested=True)
