"""OCPP 1.6J: boot, status, availability, configuration, reset and triggers."""

from collections.abc import Mapping
from typing import ClassVar

from simulator.charge_point.common_requests import ACCEPTED, REJECTED, check_size
from simulator.charge_point.facts import sim_card
from simulator.charge_point.translation import handles
from simulator.configuration import OPTION_OF_KEY, Option
from simulator.link.frames import Payload
from simulator.station.model import Connector
from simulator.v16.authorization import Authorization16
from simulator.v16.maintenance import Maintenance16
from simulator.v16.smart_charging import SmartCharging16

STATUS_OF_CHARGING_STATE = {
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "EVConnected": "Preparing",
    "Idle": "SuspendedEV",  # the car is unplugged, and the transaction goes on
}

ERROR_CODES = frozenset(
    {
        "ConnectorLockFailure",
        "EVCommunicationError",
        "GroundFailure",
        "HighTemperature",
        "InternalError",
        "OverCurrentFailure",
        "OverVoltage",
        "PowerMeterFailure",
        "PowerSwitchFailure",
        "ReaderFailure",
        "UnderVoltage",
        "WeakSignal",
    }
)


class ChargePoint16(SmartCharging16, Authorization16, Maintenance16):
    #: The key StopTransactionOnEVSideDisconnect says whether unplugging stops a transaction too.
    option_defaults: ClassVar[Mapping[str, str]] = {"tx_stop_point": "Authorized"}
    token_length = 20
    reset_kinds: ClassVar[tuple[str, ...]] = ("Soft", "Hard")
    #: "While Rejected, the Charge Point SHALL NOT respond to any Central System initiated message" (OCPP 1.6 part 1, 4.2).
    silent_while_rejected: ClassVar[bool] = True
    password_options: ClassVar[tuple[str, ...]] = ("authorization_key", "password")

    def boot_payload(self) -> Payload:
        return {
            "chargePointVendor": self.settings.vendor_name[:20],
            "chargePointModel": self.settings.model[:20],
            "chargePointSerialNumber": (self.settings.serial_number or self.settings.identity)[:25],
            "firmwareVersion": self.maintenance.firmware_version[:50],
            **sim_card(self.settings),
        }

    # Status

    def reporting_numbers(self) -> range:
        """Connector 0 is the whole charger."""
        return range(len(self.station.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        connector = self.station.connector(connector_number)
        if connector is None:
            return "Available" if self.station.availability.is_station_available else "Unavailable"
        if connector.transaction:
            return STATUS_OF_CHARGING_STATE[connector.charging_state]
        conditions = (
            ("Faulted", connector.fault),
            ("Unavailable", not connector.operative),
            ("Finishing", connector.used or connector.cable_locked),
            ("Preparing", connector.plugged or connector.token or connector.claimed),
            ("Reserved", self.station.reservations.find(connector)),
        )
        return next((status for status, holds in conditions if holds), "Available")

    def status_payload(self, connector_number: int, status: str) -> Payload:
        connector = self.station.connector(connector_number)
        payload = {
            "connectorId": connector_number,
            "errorCode": "NoError",
            "status": status,
            "timestamp": self.clock.stamp(),
        }
        if connector and connector.fault:
            payload["errorCode"] = connector.fault if connector.fault in ERROR_CODES else "OtherError"
            payload["info"] = (connector.fault_info or connector.fault)[:50]
        return payload

    def report_status(self, connector: Connector) -> None:
        super().report_status(connector)
        self.report_status_of(0)

    def report_fault(self, connector: Connector, fault: str, *, repaired: bool) -> None:
        """The StatusNotification has it."""

    # Availability

    @handles("ChangeAvailability")
    def _change_availability(self, payload: Payload) -> Payload:
        if payload["connectorId"] == 0:
            return self.set_operative(self.station.connectors, "station", payload["type"])
        connector = self.station.connector(payload["connectorId"])
        return self.set_operative([connector], "EVSE", payload["type"]) if connector else REJECTED

    @handles("UnlockConnector")
    def _unlock_connector(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload["connectorId"])
        return {"status": self.unlock(connector) if connector else "NotSupported"}

    def unlock(self, connector: Connector) -> str:
        if connector.fault == "ConnectorLockFailure":
            return "UnlockFailed"
        self.station.transactions.end(connector, "UnlockCommand", "UnlockCommand")
        self.station.cable.unlock(connector)
        return "Unlocked"

    @handles("Reset")
    def _reset(self, payload: Payload) -> Payload:
        return {"status": self.reset(payload["type"], None, "RemoteReset")}

    def reset(self, kind: str, connector: Connector | None, reason: str) -> str:
        """1.6 resets the whole charger, never a connector."""
        soft = kind == "Soft"
        self.station.transactions.end_all("SoftReset" if soft else "HardReset")
        self.reboot(reason, gentle=soft)
        return "Accepted"

    # Configuration

    @handles("ChangeConfiguration")
    def _change_configuration(self, payload: Payload) -> Payload:
        option = OPTION_OF_KEY.get(payload["key"].lower())
        if option is None:
            return {"status": "NotSupported"}
        return {"status": self.change_option(option, payload["value"])}

    @handles("GetConfiguration")
    def _get_configuration(self, payload: Payload) -> Payload:
        """Spells a known key as the specification does, and an unknown one as it was requested.

        Raises OCPPError for more keys than GetConfigurationMaxKeys (part 1, 9.1.8).
        """
        requested = payload.get("key") or []
        check_size(payload, requested, self.options.number("max_keys"))
        wanted = dict.fromkeys(key.lower() for key in requested) or OPTION_OF_KEY
        known = [OPTION_OF_KEY[key] for key in wanted if key in OPTION_OF_KEY]
        return {
            "configurationKey": [self._describe_key(option) for option in known],
            "unknownKey": [key for key in requested if key.lower() not in OPTION_OF_KEY],
        }

    def _describe_key(self, option: Option) -> Payload:
        entry: Payload = {"key": option.key, "readonly": self.options.mutability(option) == "ReadOnly"}
        if option.mutability != "WriteOnly":
            entry["value"] = self.options.text(option.name)[:500]
        return entry

    # Remote trigger

    @handles("TriggerMessage", when_busy=REJECTED)
    def _trigger_message(self, payload: Payload) -> Payload:
        """A connector that matters for the message must exist; it is ignored for any other (part 1, 5.17)."""
        number = payload.get("connectorId")
        numbers = self.reporting_numbers() if number is None else range(number, number + 1)
        match payload["requestedMessage"]:
            case "BootNotification":
                self.registration.boot_again()
            case "DiagnosticsStatusNotification":
                self.trigger_diagnostics_status()
            case "FirmwareStatusNotification":
                self.trigger_firmware_status()
            case "Heartbeat":
                self.registration.send_heartbeat(requested=True)
            case "MeterValues":
                connectors = [each for each in self.station.connectors if each.number in numbers]
                return self.trigger_meter_values(connectors, "sampled")
            case _:
                return self._trigger_statuses(numbers)
        return ACCEPTED

    def trigger_payload(self, message: str, number: int | None) -> Payload:
        return {"requestedMessage": message} | ({} if number is None else {"connectorId": number})

    def _trigger_statuses(self, numbers: range) -> Payload:
        if not set(numbers) <= set(self.reporting_numbers()):
            return REJECTED
        for number in numbers:
            self.send_status(number, requested=True)
        return ACCEPTED

    @handles("ExtendedTriggerMessage", when_busy=REJECTED)
    def _extended_trigger_message(self, payload: Payload) -> Payload:
        """As TriggerMessage, with the statuses of the security extensions (whitepaper, 6.16)."""
        match payload["requestedMessage"]:
            case "FirmwareStatusNotification":
                self.trigger_signed_firmware_status()
            case "LogStatusNotification":
                self.trigger_log_status()
            case "SignChargePointCertificate":
                return {"status": "NotImplemented"}
            case _:
                return self._trigger_message(payload)
        return ACCEPTED
