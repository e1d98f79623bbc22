"""OCPP 1.6J: the shared behaviour in its words."""

from collections.abc import Callable, Mapping
from typing import ClassVar

from simulator.charge_point.actions import VENDOR_ID
from simulator.charge_point.charge_point import ChargePoint, handles
from simulator.charge_point.memory import State
from simulator.clock import format_time, parse_time
from simulator.link.frames import Payload
from simulator.link.outbox import Message
from simulator.link.session import CallFailed
from simulator.log import EventLog
from simulator.settings import Settings
from simulator.station.authorization import TokenInfo
from simulator.station.maintenance import Update
from simulator.station.metering import read_meter
from simulator.station.model import Connector, Ending, Reservation, Token, Transaction
from simulator.station.smart_charging import is_in_order, read_profile
from simulator.station.station import waiting_for

#: Sent where the CSMS never gave a transaction its id.
UNKNOWN_TRANSACTION = -1

STATUS_OF_CHARGING_STATE = {
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "EVConnected": "Preparing",
    "Idle": "SuspendedEV",  # the cable was pulled, and the transaction outlives that
}

STOP_REASONS = frozenset(
    {
        "DeAuthorized",
        "EVDisconnected",
        "HardReset",
        "Local",
        "PowerLoss",
        "Reboot",
        "Remote",
        "SoftReset",
        "UnlockCommand",
    }
)

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

CONTEXT_OF_TRIGGER = {
    "MeterValuePeriodic": "Sample.Periodic",
    "MeterValueClock": "Sample.Clock",
    "Trigger": "Trigger",
}

#: Names that the firmware's states have only in 2.0.1.
FIRMWARE_STATUSES = frozenset(
    {"Downloaded", "DownloadFailed", "Downloading", "Idle", "InstallationFailed", "Installing", "Installed"}
)


class ChargePoint16(ChargePoint):
    #: Whether unplugging stops a transaction too is the key StopTransactionOnEVSideDisconnect.
    version_defaults: ClassVar[Mapping[str, str]] = {"tx_stop_point": "Authorized"}

    def __init__(self, settings: Settings, log: EventLog) -> None:
        super().__init__(settings, log)
        #: by the model's id: the one that the CSMS gave; kept until the CSMS knows of the end
        self._transaction_ids: dict[str, int] = {}
        #: by the model's id: the reading at the start, for the StopTransaction
        self._first_readings: dict[str, Payload] = {}

    def boot_payload(self) -> Payload:
        return {
            "chargePointVendor": self.settings.vendor_name[:20],
            "chargePointModel": self.settings.model[:20],
            "chargePointSerialNumber": self.settings.identity[:25],
            "firmwareVersion": self.maintenance.firmware_version[:50],
        }

    # What the charger tells

    def reporting_numbers(self) -> range:
        """Connector 0 is the charger as a whole."""
        return range(len(self.station.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        connector = self.station.connector(connector_number)
        if connector is None:
            usable = any(connector.operative for connector in self.station.connectors)
            return "Available" if usable else "Unavailable"
        if connector.transaction:
            return STATUS_OF_CHARGING_STATE[connector.charging_state]
        conditions = (
            ("Faulted", connector.fault),
            ("Unavailable", not connector.operative),
            ("Finishing", connector.used),
            ("Preparing", connector.plugged or connector.token or connector.claimed),
            ("Reserved", self.station.is_reserved(connector)),
        )
        return next((word for word, holds in conditions if holds), "Available")

    def tell_status(self, connector: Connector) -> None:
        super().tell_status(connector)
        self.tell_status_of(0)

    def status_payload(self, connector_number: int, status: str) -> Payload:
        connector = self.station.connector(connector_number)
        fault = connector.fault if connector else None
        payload = {
            "connectorId": connector_number,
            "errorCode": "NoError",
            "status": status,
            "timestamp": self.clock.stamp(),
        }
        if fault:
            payload["errorCode"] = fault if fault in ERROR_CODES else "OtherError"
            payload["info"] = fault[:50]
        return payload

    def ask_about(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None:
        def take(answer: Payload | CallFailed) -> None:
            then(None if isinstance(answer, CallFailed) else self._learn(token, answer["idTagInfo"]))

        self.send("Authorize", {"idTag": token.value[:20]}, take)

    def tell_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        payload = {
            "connectorId": connector.number,
            "idTag": transaction.token.value[:20] if transaction.token else "",
            "meterStart": round(transaction.meter_start_wh),
            "timestamp": format_time(transaction.started_at),
        }
        if transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        first = self._meter_value(connector, "ended", "Transaction.Begin", self.clock.now())
        if first:
            self._first_readings[transaction.id] = first
        self.send_durable("StartTransaction", payload, transaction.id)

    def tell_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        """Of all that happens in a transaction, 1.6 has words for readings only."""
        context = CONTEXT_OF_TRIGGER.get(trigger)
        if context:
            names = "aligned" if context == "Sample.Clock" else "sampled"
            self._send_meter_value(connector, names, context, transaction)

    def tell_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None:
        payload: Payload = {
            "transactionId": UNKNOWN_TRANSACTION,
            "meterStop": round(connector.energy_wh),
            "timestamp": format_time(ending.moment),
            "reason": ending.reason if ending.reason in STOP_REASONS else "Other",
        }
        if ending.token:
            payload["idTag"] = ending.token.value[:20]
        first = self._first_readings.pop(transaction.id, None)
        last = self._meter_value(connector, "ended", "Transaction.End", ending.moment)
        if first and last:
            payload["transactionData"] = [first, last]
        self.send_durable("StopTransaction", payload, transaction.id)

    def tell_meter(self, connector: Connector) -> None:
        self._send_meter_value(connector, "aligned", "Sample.Clock", None)

    def tell_reservation_over(self, reservation: Reservation, status: str) -> None:
        """1.6 tells it by the status alone."""

    def tell_firmware(self, status: str, request_id: int | None) -> None:
        if status in FIRMWARE_STATUSES:
            self.send_durable("FirmwareStatusNotification", {"status": status})

    def tell_log(self, status: str, request_id: int | None) -> None:
        word = "UploadFailed" if status == "UploadFailure" else status
        self.send_durable("DiagnosticsStatusNotification", {"status": word})

    def _send_meter_value(
        self, connector: Connector, option: str, context: str, transaction: Transaction | None
    ) -> None:
        value = self._meter_value(connector, option, context, self.clock.now())
        if value is None:
            return
        payload = {"connectorId": connector.number, "meterValue": [value]}
        self.send_durable("MeterValues", payload, transaction.id if transaction else None, spare=True)

    def _meter_value(self, connector: Connector, option: str, context: str, moment: float) -> Payload | None:
        """None when the option asks for no measurand, or for none that the connector has now."""
        readings = read_meter(connector, self.station.electrics, self.options.members(option))
        sampled = [
            {
                "value": f"{reading.value:g}" if reading.value % 1 else f"{reading.value:.0f}",
                "context": context,
                "measurand": reading.measurand,
                "location": "EV" if reading.measurand == "SoC" else "Outlet",
                "unit": reading.unit,
            }
            for reading in readings
        ]
        return {"timestamp": format_time(moment), "sampledValue": sampled} if sampled else None

    # Transaction ids, which the CSMS gives

    def complete(self, message: Message) -> Payload | None:
        if message.transaction_id is None or message.action == "StartTransaction":
            return message.payload
        known = self._transaction_ids.get(message.transaction_id)
        if known is None and message.action == "MeterValues":
            return message.payload
        return message.payload | {"transactionId": UNKNOWN_TRANSACTION if known is None else known}

    def take_durable_answer(self, message: Message, answer: Payload | CallFailed) -> None:
        transaction_id = message.transaction_id
        if transaction_id is None:
            return
        if message.action == "StopTransaction":
            self._transaction_ids.pop(transaction_id, None)
        elif message.action == "StartTransaction" and not isinstance(answer, CallFailed):
            self._transaction_ids[transaction_id] = answer["transactionId"]
            info = self._learn(Token(message.payload["idTag"]), answer["idTagInfo"])
            # ConcurrentTx is about another transaction; it does not stop one that runs.
            if info.status not in ("Accepted", "ConcurrentTx"):
                self.station.refuse_token(transaction_id, info)

    def describe(self) -> State:
        return super().describe() | {
            "transaction_ids": self._transaction_ids,
            "first_readings": self._first_readings,
        }

    def recall(self, state: State) -> None:
        self._transaction_ids.update(state["transaction_ids"])
        self._first_readings.update(state["first_readings"])
        super().recall(state)

    def _learn(self, token: Token, info: Payload) -> TokenInfo:
        known = _read_info(info)
        self.authorizer.remember(token, known)
        return known

    # What the CSMS asks: Core

    @handles("ChangeAvailability")
    def _change_availability(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload["connectorId"])
        if connector is None and payload["connectorId"] != 0:
            return REJECTED
        wanted = [connector] if connector else self.station.connectors
        done = [self.station.set_operative(one, payload["type"] == "Operative") for one in wanted]
        return ACCEPTED if all(done) else {"status": "Scheduled"}

    @handles("ChangeConfiguration")
    def _change_configuration(self, payload: Payload) -> Payload:
        option = next((option for option in self.options if option.key == payload["key"]), None)
        if option is None:
            return {"status": "NotSupported"}
        verdict = self.options.change(option, payload["value"])
        if verdict != "Rejected":
            self.apply_option(option.name)
        return {"status": verdict}

    @handles("GetConfiguration")
    def _get_configuration(self, payload: Payload) -> Payload:
        keys = payload.get("key") or None
        known = {option.key: option for option in self.options if option.key}
        wanted = list(known) if keys is None else [key for key in keys if key in known]
        answer: Payload = {
            "configurationKey": [],
            "unknownKey": [key for key in keys or () if key not in known],
        }
        for option in (known[key] for key in dict.fromkeys(wanted)):
            entry: Payload = {"key": option.key, "readonly": option.mutability == "ReadOnly"}
            if option.mutability != "WriteOnly":
                entry["value"] = self.options.text(option.name)[:500]
            answer["configurationKey"].append(entry)
        return answer

    @handles("ClearCache")
    def _clear_cache(self, _: Payload) -> Payload:
        if not self.options.flag("cache_enabled"):
            return REJECTED
        self.authorizer.cache.clear()
        self.keep_state()
        return ACCEPTED

    @handles("DataTransfer")
    def _data_transfer(self, payload: Payload) -> Payload:
        if payload["vendorId"] != VENDOR_ID:
            return {"status": "UnknownVendorId"}
        outcome = self.driver.perform(payload.get("messageId", ""), payload.get("data"))
        return {"status": outcome.status} | ({"data": outcome.data} if outcome.data else {})

    @handles("RemoteStartTransaction")
    def _remote_start(self, payload: Payload) -> Payload:
        token = Token(payload["idTag"])
        number = payload.get("connectorId")
        connector = self.station.choose_connector(token, number)
        if self.registration != "Accepted" or number == 0 or connector is None:
            return REJECTED
        if "chargingProfile" in payload:
            given = payload["chargingProfile"]
            if given["chargingProfilePurpose"] != "TxProfile":
                return REJECTED
            if not self._install(given, connector.number, waiting_for(connector)):
                return REJECTED
        self.station.start_remotely(connector, token, None, check=self.options.flag("authorize_remote_start"))
        return ACCEPTED

    @handles("RemoteStopTransaction")
    def _remote_stop(self, payload: Payload) -> Payload:
        connector = self._connector_of(payload["transactionId"])
        if self.registration != "Accepted" or connector is None:
            return REJECTED
        self.station.stop(connector, "RemoteStop", "Remote")
        return ACCEPTED

    def _connector_of(self, csms_id: int) -> Connector | None:
        return next(
            (c for c, t in self.station.transactions() if self._transaction_ids.get(t.id) == csms_id), None
        )

    @handles("Reset")
    def _reset(self, payload: Payload) -> Payload:
        soft = payload["type"] == "Soft"
        self.end_transactions("SoftReset" if soft else "HardReset")
        self.reboot("RemoteReset", gentle=soft)
        return ACCEPTED

    @handles("UnlockConnector")
    def _unlock(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload["connectorId"])
        if connector is None:
            return {"status": "NotSupported"}
        if connector.fault == "ConnectorLockFailure":
            return {"status": "UnlockFailed"}
        if connector.transaction:
            self.station.end_transaction(connector, "UnlockCommand", "UnlockCommand")
        return {"status": "Unlocked"}

    # Local authorization list

    @handles("GetLocalListVersion")
    def _get_local_list_version(self, _: Payload) -> Payload:
        enabled = self.options.flag("local_list_enabled")
        return {"listVersion": self.authorizer.list_version if enabled else -1}

    @handles("SendLocalList")
    def _send_local_list(self, payload: Payload) -> Payload:
        if not self.options.flag("local_list_enabled"):
            return {"status": "NotSupported"}
        entries = [
            (entry["idTag"], _read_info(entry["idTagInfo"]) if "idTagInfo" in entry else None)
            for entry in payload.get("localAuthorizationList", [])
        ]
        full = payload["updateType"] == "Full"
        status = self.authorizer.update_list(payload["listVersion"], entries, full=full)
        self.keep_state()
        return {"status": status}

    # Remote trigger

    @handles("TriggerMessage")
    def _trigger(self, payload: Payload) -> Payload:
        number = payload.get("connectorId")
        if number is not None and not 0 <= number <= len(self.station.connectors):
            return REJECTED
        numbers = self.reporting_numbers() if number is None else range(number, number + 1)
        match payload["requestedMessage"]:
            case "BootNotification":
                self.boot_again()
            case "Heartbeat":
                self.send_heartbeat(requested=True)
            case "StatusNotification":
                for one in numbers:
                    self.report_status(one, requested=True)
            case "MeterValues":
                self._trigger_meter_values(numbers)
            case "FirmwareStatusNotification":
                status = self.maintenance.firmware_status
                self.send(
                    "FirmwareStatusNotification",
                    {"status": status if status in FIRMWARE_STATUSES else "Downloaded"},
                    requested=True,
                )
            case "DiagnosticsStatusNotification":
                status = "Uploading" if self.maintenance.log_status == "Uploading" else "Idle"
                self.send("DiagnosticsStatusNotification", {"status": status}, requested=True)
        return ACCEPTED

    def _trigger_meter_values(self, numbers: range) -> None:
        self.station.read_meters()
        for connector in self.station.connectors:
            value = self._meter_value(connector, "sampled", "Trigger", self.clock.now())
            if connector.number not in numbers or value is None:
                continue
            payload = {"connectorId": connector.number, "meterValue": [value]}
            known = self._transaction_ids.get(connector.transaction.id) if connector.transaction else None
            if known is not None:
                payload["transactionId"] = known
            self.send("MeterValues", payload, requested=True)

    # Reservation

    @handles("ReserveNow")
    def _reserve(self, payload: Payload) -> Payload:
        if not 0 <= payload["connectorId"] <= len(self.station.connectors):
            return REJECTED
        try:
            expires_at = parse_time(payload["expiryDate"])
        except ValueError:
            return REJECTED
        reservation = Reservation(
            id=payload["reservationId"],
            connector_number=payload["connectorId"],
            token=Token(payload["idTag"]),
            group=payload.get("parentIdTag"),
            expires_at=expires_at,
        )
        return {"status": self.station.reserve(reservation)}

    @handles("CancelReservation")
    def _cancel_reservation(self, payload: Payload) -> Payload:
        return ACCEPTED if self.station.cancel_reservation(payload["reservationId"]) else REJECTED

    # Smart charging

    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["connectorId"], payload["csChargingProfiles"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        transaction_id = None
        match given["chargingProfilePurpose"]:
            case "ChargePointMaxProfile" if number != 0:
                return REJECTED
            case "TxProfile":
                if connector is None or connector.transaction is None:
                    return REJECTED
                transaction_id = connector.transaction.id
                if given.get("transactionId") not in (None, self._transaction_ids.get(transaction_id)):
                    return REJECTED
        if not self._install(given, number, transaction_id):
            return REJECTED
        self.station.settle()
        self.keep_state()
        return ACCEPTED

    def _install(self, given: Payload, connector_number: int, transaction_id: str | None) -> bool:
        try:
            profile = read_profile(given, connector_number, transaction_id)
        except ValueError:
            return False
        if (
            not is_in_order(profile)
            or not 0 <= profile.stack_level <= self.options.number("max_stack_level")
            or len(profile.periods) > self.options.number("max_periods")
            or len(self.station.profiles) >= self.options.number("max_profiles")
        ):
            return False
        self.station.profiles.install(profile)
        return True

    @handles("ClearChargingProfile")
    def _clear_charging_profile(self, payload: Payload) -> Payload:
        doomed = [
            profile
            for profile in self.station.profiles
            if payload.get("id") == profile.id
            or (
                "id" not in payload
                and payload.get("connectorId") in (None, profile.connector_number)
                and payload.get("chargingProfilePurpose") in (None, profile.purpose)
                and payload.get("stackLevel") in (None, profile.stack_level)
            )
        ]
        self.station.profiles.remove(doomed)
        self.station.settle()
        self.keep_state()
        return ACCEPTED if doomed else {"status": "Unknown"}

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        number = payload["connectorId"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        unit, now = payload.get("chargingRateUnit", "W"), self.clock.now()
        periods = self.station.profiles.composite(connector, now, payload["duration"], unit)
        return {
            "status": "Accepted",
            "connectorId": number,
            "scheduleStart": format_time(now),
            "chargingSchedule": {
                "duration": payload["duration"],
                "startSchedule": format_time(now),
                "chargingRateUnit": unit,
                "chargingSchedulePeriod": [
                    {"startPeriod": round(period.start_s), "limit": period.limit}
                    | ({"numberPhases": period.phases} if period.phases else {})
                    for period in periods
                ],
            },
        }

    # Firmware management

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


ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def _read_info(info: Payload) -> TokenInfo:
    expires_at = None
    if "expiryDate" in info:
        try:
            expires_at = parse_time(info["expiryDate"])
        except ValueError:
            expires_at = None
    return TokenInfo(info["status"], info.get("parentIdTag"), expires_at)
