"""OCPP 2.0.1: the requests and reports of the device model."""

from simulator.charge_point.common_requests import ACCEPTED, CommonRequests
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.log import EventLog
from simulator.settings import Settings
from simulator.v201.device_model import DeviceModel

#: Variables in one NotifyReport.
REPORT_ITEMS = 40


class Variables201(CommonRequests):
    def __init__(self, settings: Settings, log: EventLog) -> None:
        super().__init__(settings, log)
        self.device = DeviceModel(self)

    @handles("GetVariables")
    def _get_variables(self, payload: Payload) -> Payload:
        return {"getVariableResult": [self.device.get(each) for each in payload["getVariableData"]]}

    @handles("SetVariables")
    def _set_variables(self, payload: Payload) -> Payload:
        return {"setVariableResult": [self.device.set(each) for each in payload["setVariableData"]]}

    @handles("GetBaseReport")
    def _get_base_report(self, payload: Payload) -> Payload:
        self._send_report(payload["requestId"], self.device.report(payload["reportBase"]))
        return ACCEPTED

    @handles("GetReport")
    def _get_report(self, payload: Payload) -> Payload:
        found = self.device.select(payload.get("componentVariable"), payload.get("componentCriteria"))
        if not found:
            return {"status": "EmptyResultSet"}
        self._send_report(payload["requestId"], found)
        return ACCEPTED

    def _send_report(self, request_id: int, data: list[Payload]) -> None:
        pages = [data[start : start + REPORT_ITEMS] for start in range(0, len(data), REPORT_ITEMS)]
        for number, page in enumerate(pages):
            payload = {
                "requestId": request_id,
                "generatedAt": self.clock.stamp(),
                "seqNo": number,
                "tbc": number + 1 < len(pages),
                "reportData": page,
            }
            self.send("NotifyReport", payload, requested=True)
