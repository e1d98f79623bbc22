"""OCPP 2.0.1: the requests and reports of the device model."""

from simulator.charge_point.common_requests import ACCEPTED, REJECTED, CommonRequests, check_size
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
        requested = self._checked(payload, "getVariableData", "get_variables")
        return {"getVariableResult": [self.device.get(each) for each in requested]}

    @handles("SetVariables")
    def _set_variables(self, payload: Payload) -> Payload:
        requested = self._checked(payload, "setVariableData", "set_variables")
        return {"setVariableResult": [self.device.set(each) for each in requested]}

    def _checked(self, payload: Payload, field: str, limit: str) -> list[Payload]:
        """The list in this field. Raises OCPPError for a request above ItemsPerMessage or BytesPerMessage."""
        requested: list[Payload] = payload.get(field, [])
        number = self.options.number
        check_size(payload, requested, number(f"{limit}_items"), number(f"{limit}_bytes"))
        return requested

    @handles("GetBaseReport", when_busy=REJECTED)
    def _get_base_report(self, payload: Payload) -> Payload:
        self._send_report(payload["requestId"], self.device.report(payload["reportBase"]))
        return ACCEPTED

    @handles("GetReport", when_busy=REJECTED)
    def _get_report(self, payload: Payload) -> Payload:
        wanted = self._checked(payload, "componentVariable", "report") or None
        found = self.device.select(wanted, payload.get("componentCriteria"))
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
