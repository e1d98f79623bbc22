"""OCPP 2.0.1: firmware updates and logs."""

from simulator.charge_point.common_requests import REJECTED
from simulator.charge_point.maintenance.requests import MaintenanceRequests, numbered
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.v201.answers import rejected


class Maintenance201(MaintenanceRequests):
    def report_firmware(self, status: str, request_id: int | None) -> None:
        self.send_durable("FirmwareStatusNotification", numbered(status, request_id), requested=True)

    @handles("UpdateFirmware", when_busy=REJECTED)
    def _update_firmware(self, payload: Payload) -> Payload:
        status = self.update_firmware(payload)
        if status != "Rejected":
            return {"status": status}
        if self.maintenance.firmware.reboots:
            return rejected("FwUpdateInProgress", "the charger reboots into another firmware")
        return rejected("InvalidValue", "retrieveDateTime or installDateTime is not a time")

    @handles("GetLog", when_busy=REJECTED)
    def _get_log(self, request: Payload) -> Payload:
        answer = super()._get_log(request)
        if answer["status"] != "Rejected":
            return answer
        return rejected("NotFound", "there is no log between oldestTimestamp and latestTimestamp")

    def trigger_firmware_status(self) -> None:
        status, request_id = self.maintenance.firmware.trigger_status(numbered=True)
        self.send("FirmwareStatusNotification", numbered(status, request_id), requested=True)
