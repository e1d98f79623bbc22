"""OCPP 2.0.1: boot, status, availability, reset and triggers. Each connector is an EVSE with one connector."""

import random
from typing import ClassVar

from simulator.charge_point.common_requests import ACCEPTED, REJECTED
from simulator.charge_point.facts import sim_card
from simulator.charge_point.translation import handles
from simulator.link.frames import Payload
from simulator.station.model import Connector, Level
from simulator.v201.answers import rejected
from simulator.v201.authorization import Authorization201
from simulator.v201.maintenance import Maintenance201
from simulator.v201.network import Network201
from simulator.v201.smart_charging import SmartCharging201
from simulator.v201.transactions import CONNECTOR_ID, Transactions201
from simulator.v201.variables import Variables201


class ChargePoint201(
    Authorization201, Transactions201, SmartCharging201, Maintenance201, Variables201, Network201
):
    counts_evses: ClassVar[bool] = True
    reset_kinds: ClassVar[tuple[str, ...]] = ("Immediate", "OnIdle")

    def boot_payload(self) -> Payload:
        return {
            "reason": self.reboots.reason,
            "chargingStation": {
                "vendorName": self.settings.vendor_name[:50],
                "model": self.settings.model[:20],
                "serialNumber": (self.settings.serial_number or self.settings.identity)[:25],
                "firmwareVersion": self.maintenance.firmware_version[:50],
                **({"modem": modem} if (modem := sim_card(self.settings)) else {}),
            },
        }

    def triggered_boot(self) -> Payload:
        return {"reason": "Triggered"}

    def ends_rejection(self, action: str, payload: Payload) -> bool:
        """A BootNotification may be triggered before the interval is over (F06, TC_B_31; libocpp)."""
        return action == "TriggerMessage" and payload["requestedMessage"] == "BootNotification"

    # Status

    def reporting_numbers(self) -> range:
        return range(1, len(self.station.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        connector = self.station.connectors[connector_number - 1]
        conditions = (
            ("Faulted", connector.fault),
            ("Occupied", connector.transaction and connector.transaction.token),
            ("Unavailable", not connector.operative),
            ("Reserved", self.station.reservations.find(connector)),
            ("Occupied", connector.transaction or connector.has_cable),
            ("Reserved", self.station.reservations.keeps(connector)),
        )
        return next((status for status, holds in conditions if holds), "Available")

    def report_status(self, connector: Connector) -> None:
        """Reservations of any EVSE make the last free ones Reserved, whichever EVSE has changed (H02.FR.06)."""
        super().report_status(connector)
        if any(each.connector_number == 0 for each in self.station.reservations.by_id.values()):
            self.report_statuses()

    def status_payload(self, connector_number: int, status: str) -> Payload:
        return {
            "timestamp": self.clock.stamp(),
            "connectorStatus": status,
            "evseId": connector_number,
            "connectorId": CONNECTOR_ID,
        }

    def report_fault(self, connector: Connector, fault: str, *, repaired: bool) -> None:
        """As an event of the connector's variable Problem (G05, N07): a status does not say which fault it is."""
        stamp = self.clock.stamp()
        event: Payload = {
            "eventId": random.getrandbits(31),
            "timestamp": stamp,
            "trigger": "Alerting",
            "actualValue": "false" if repaired else "true",
            "techCode": fault[:50],
            "cleared": repaired,
            "eventNotificationType": "HardWiredNotification",
            "component": {"name": "Connector", "evse": {"id": connector.number, "connectorId": CONNECTOR_ID}},
            "variable": {"name": "Problem"},
        }
        if connector.fault_info:
            event["techInfo"] = connector.fault_info
        payload = {"generatedAt": stamp, "seqNo": 0, "eventData": [event]}
        self.send_durable("NotifyEvent", payload)

    # Availability

    @handles("ChangeAvailability")
    def _change_availability(self, payload: Payload) -> Payload:
        evse = payload.get("evse") or {"id": 0}
        connectors = self._connectors(evse)
        if not connectors:
            return REJECTED
        level: Level = "connector" if "connectorId" in evse else "EVSE"
        return self.set_operative(
            connectors, level if evse["id"] else "station", payload["operationalStatus"]
        )

    @handles("UnlockConnector")
    def _unlock_connector(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload["evseId"])
        if connector is None or payload["connectorId"] != CONNECTOR_ID:
            return {"status": "UnknownConnector"}
        return {"status": self.unlock(connector)}

    def unlock(self, connector: Connector) -> str:
        if connector.transaction and connector.token:
            return "OngoingAuthorizedTransaction"
        if connector.fault == "ConnectorLockFailure":
            return "UnlockFailed"
        self.station.cable.unlock(connector)
        return "Unlocked"

    @handles("Reset")
    def _reset(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload.get("evseId", 0))
        if "evseId" in payload and connector is None:
            return rejected("UnknownEvse", "there is no such EVSE")
        return {"status": self.reset(payload["type"], connector, "RemoteReset")}

    def reset(self, kind: str, connector: Connector | None, reason: str) -> str:
        if connector is not None:
            return self._reset_evse(kind, connector)
        if kind == "OnIdle":
            return "Accepted" if self.reboots.begin_when_idle() else "Scheduled"
        self.station.transactions.end_all("ImmediateReset")
        self.reboot(reason)
        return "Accepted"

    def _reset_evse(self, kind: str, connector: Connector) -> str:
        if kind == "Immediate":
            self.station.transactions.end(connector, "ResetCommand", "ImmediateReset")
        return "Accepted" if self.station.availability.reset(connector) else "Scheduled"

    # Remote trigger

    @handles("TriggerMessage", when_busy=REJECTED)
    def _trigger_message(self, payload: Payload) -> Payload:
        """An EVSE that matters for the message must exist; it is ignored for any other (F06.FR.02)."""
        connectors = self._connectors(payload.get("evse"))
        match payload["requestedMessage"]:
            case "BootNotification":
                return self._trigger_boot()
            case "FirmwareStatusNotification":
                self.trigger_firmware_status()
            case "Heartbeat":
                self.registration.send_heartbeat(requested=True)
            case "LogStatusNotification":
                self.trigger_log_status()
            case "MeterValues":
                return self.trigger_meter_values(connectors, "aligned")
            case "StatusNotification":
                return self._trigger_status(payload.get("evse", {}))
            case "TransactionEvent":
                return self.trigger_transaction_events(connectors)
            case _:
                return {"status": "NotImplemented"}
        return ACCEPTED

    def trigger_payload(self, message: str, number: int | None) -> Payload:
        evse = {} if number is None else {"evse": {"id": number, "connectorId": CONNECTOR_ID}}
        return {"requestedMessage": message} | evse

    def _trigger_status(self, evse: Payload) -> Payload:
        """Rejected without an EVSE and its connector (F06.FR.12)."""
        connector = self.station.connector(evse.get("id", 0))
        if connector is None or evse.get("connectorId") != CONNECTOR_ID:
            return REJECTED
        self.send_status(connector.number, requested=True)
        return ACCEPTED

    def _trigger_boot(self) -> Payload:
        if self.is_accepted:
            return REJECTED  # F06.FR.17
        self.registration.boot_again()
        return ACCEPTED

    def _connectors(self, evse: Payload | None) -> list[Connector]:
        """The connector of an EVSE; all without one, or for EVSE 0; an empty list for an unknown one."""
        if evse is None or evse["id"] == 0:
            return self.station.connectors
        connector = self.station.connector(evse["id"])
        if connector is None or evse.get("connectorId", CONNECTOR_ID) != CONNECTOR_ID:
            return []
        return [connector]
