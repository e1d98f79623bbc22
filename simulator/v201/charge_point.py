"""OCPP 2.0.1: the shared behaviour in its words. Each connector of the model is an EVSE with one connector."""

from collections.abc import Callable

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
from simulator.station.smart_charging import Profile, is_in_order, read_profile
from simulator.station.station import waiting_for
from simulator.v201.device_model import DeviceModel

#: In OCPP 2.0.1 an EVSE of ours has this one connector.
CONNECTOR_ID = 1

CONTEXT_OF_TRIGGER = {
    "MeterValuePeriodic": "Sample.Periodic",
    "MeterValueClock": "Sample.Clock",
    "Trigger": "Trigger",
}

STOPPED_REASONS = frozenset(
    {
        "DeAuthorized",
        "EVDisconnected",
        "GroundFault",
        "ImmediateReset",
        "Local",
        "OvercurrentFault",
        "PowerLoss",
        "Reboot",
        "Remote",
        "Timeout",
    }
)

#: NotifyReport carries so many variables at once.
REPORT_ITEMS = 40


class ChargePoint201(ChargePoint):
    def __init__(self, settings: Settings, log: EventLog) -> None:
        super().__init__(settings, log)
        self.device = DeviceModel(self)
        #: by transaction: the readings at its start, for its end
        self._first_readings: dict[str, Payload] = {}

    def boot_payload(self) -> Payload:
        return {
            "reason": self.boot_reason,
            "chargingStation": {
                "vendorName": self.settings.vendor_name[:50],
                "model": self.settings.model[:20],
                "serialNumber": self.settings.identity[:25],
                "firmwareVersion": self.maintenance.firmware_version[:50],
            },
        }

    def triggered_boot(self) -> Payload:
        return {"reason": "Triggered"}

    # What the charging station tells

    def reporting_numbers(self) -> range:
        return range(1, len(self.station.connectors) + 1)

    def status_of(self, connector_number: int) -> str:
        connector = self.station.connectors[connector_number - 1]
        conditions = (
            ("Faulted", connector.fault),
            ("Occupied", connector.transaction),
            ("Unavailable", not connector.operative),
            ("Occupied", connector.plugged),
            ("Reserved", self.station.is_reserved(connector)),
        )
        return next((word for word, holds in conditions if holds), "Available")

    def status_payload(self, connector_number: int, status: str) -> Payload:
        return {
            "timestamp": self.clock.stamp(),
            "connectorStatus": status,
            "evseId": connector_number,
            "connectorId": CONNECTOR_ID,
        }

    def ask_about(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None:
        def take(answer: Payload | CallFailed) -> None:
            then(None if isinstance(answer, CallFailed) else self._learn(token, answer["idTokenInfo"]))

        self.send("Authorize", {"idToken": _describe_token(token)}, take)

    def tell_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        readings = self._meter_values(connector, "started", "Transaction.Begin", transaction.started_at)
        if first := self._meter_values(connector, "ended", "Transaction.Begin", transaction.started_at):
            self._first_readings[transaction.id] = first[0]
        event: Payload = {"eventType": "Started", "triggerReason": trigger, **_token_field(transaction.token)}
        if readings:
            event["meterValue"] = readings
        if transaction.reservation_id is not None:
            event["reservationId"] = transaction.reservation_id
        self._send_event(connector, transaction, event)

    def tell_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        context = CONTEXT_OF_TRIGGER.get(trigger)
        event: Payload = {"eventType": "Updated", "triggerReason": trigger}
        if context:
            option = "aligned" if context == "Sample.Clock" else "sampled"
            readings = self._meter_values(connector, option, context, self.clock.now())
            if not readings:
                return
            event["meterValue"] = readings
        if trigger in ("Authorized", "RemoteStart"):
            event |= _token_field(transaction.token)
        self._send_event(connector, transaction, event)

    def tell_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None:
        readings = self._meter_values(connector, "ended", "Transaction.End", ending.moment)
        first = self._first_readings.pop(transaction.id, None)
        event: Payload = {
            "eventType": "Ended",
            "triggerReason": ending.trigger,
            "timestamp": format_time(ending.moment),
            **_token_field(ending.token),
        }
        if readings:
            event["meterValue"] = [first, *readings] if first else readings
        reason = ending.reason if ending.reason in STOPPED_REASONS else "Other"
        self._send_event(connector, transaction, event, {"stoppedReason": reason})

    def _send_event(
        self, connector: Connector, transaction: Transaction, event: Payload, info: Payload | None = None
    ) -> None:
        about: Payload = {"transactionId": transaction.id, "chargingState": connector.charging_state}
        if transaction.remote_start_id is not None:
            about["remoteStartId"] = transaction.remote_start_id
        payload = {
            "timestamp": self.clock.stamp(),
            "seqNo": transaction.next_seq_no,
            "transactionInfo": about | (info or {}),
            "evse": {"id": connector.number, "connectorId": CONNECTOR_ID},
            **({} if self.reachable else {"offline": True}),
            **event,
        }
        transaction.next_seq_no += 1
        spare = event["eventType"] == "Updated"
        self.send_durable("TransactionEvent", payload, transaction.id, spare=spare)

    def tell_meter(self, connector: Connector) -> None:
        readings = self._meter_values(connector, "aligned", "Sample.Clock", self.clock.now())
        if readings:
            payload = {"evseId": connector.number, "meterValue": readings}
            self.send_durable("MeterValues", payload, spare=True)

    def tell_reservation_over(self, reservation: Reservation, status: str) -> None:
        payload = {"reservationId": reservation.id, "reservationUpdateStatus": status}
        self.send_durable("ReservationStatusUpdate", payload)

    def tell_firmware(self, status: str, request_id: int | None) -> None:
        self.send_durable("FirmwareStatusNotification", {"status": status} | _request_id(request_id))

    def tell_log(self, status: str, request_id: int | None) -> None:
        self.send_durable("LogStatusNotification", {"status": status} | _request_id(request_id))

    def _meter_values(self, connector: Connector, option: str, context: str, moment: float) -> list[Payload]:
        """One, or none when the option asks for no measurand that the connector has now."""
        readings = read_meter(connector, self.station.electrics, self.options.members(option))
        sampled = [
            {
                "value": reading.value,
                "context": context,
                "measurand": reading.measurand,
                "location": "EV" if reading.measurand == "SoC" else "Outlet",
                "unitOfMeasure": {"unit": reading.unit},
            }
            for reading in readings
        ]
        return [{"timestamp": format_time(moment), "sampledValue": sampled}] if sampled else []

    def take_durable_answer(self, message: Message, answer: Payload | CallFailed) -> None:
        if message.transaction_id is None or isinstance(answer, CallFailed) or "idTokenInfo" not in answer:
            return
        if "idToken" in message.payload and message.payload["eventType"] != "Ended":
            info = self._learn(_read_token(message.payload["idToken"]), answer["idTokenInfo"])
            if info.status not in ("Accepted", "ConcurrentTx"):
                self.station.refuse_token(message.transaction_id, info)

    def describe(self) -> State:
        return super().describe() | {"first_readings": self._first_readings}

    def recall(self, state: State) -> None:
        self._first_readings.update(state["first_readings"])
        super().recall(state)

    def _learn(self, token: Token, info: Payload) -> TokenInfo:
        known = _read_info(info)
        self.authorizer.remember(token, known)
        return known

    # What the CSMS asks: authorization

    @handles("ClearCache")
    def _clear_cache(self, _: Payload) -> Payload:
        if not self.options.flag("cache_enabled"):
            return REJECTED
        self.authorizer.cache.clear()
        self.keep_state()
        return ACCEPTED

    @handles("GetLocalListVersion")
    def _get_local_list_version(self, _: Payload) -> Payload:
        enabled = self.options.flag("local_list_enabled")
        return {"versionNumber": self.authorizer.list_version if enabled else 0}

    @handles("SendLocalList")
    def _send_local_list(self, payload: Payload) -> Payload:
        entries = [
            (
                entry["idToken"]["idToken"],
                _read_info(entry["idTokenInfo"]) if "idTokenInfo" in entry else None,
            )
            for entry in payload.get("localAuthorizationList", [])
        ]
        full = payload["updateType"] == "Full"
        status = self.authorizer.update_list(payload["versionNumber"], entries, full=full)
        self.keep_state()
        return {"status": status}

    @handles("CustomerInformation")
    def _customer_information(self, payload: Payload) -> Payload:
        """Only tokens are known of customers: what the cache and the local list say about them."""
        if not payload["report"] and not payload["clear"]:
            return REJECTED
        if sum(key in payload for key in ("idToken", "customerIdentifier", "customerCertificate")) != 1:
            return {"status": "Invalid"}
        data = ""
        if "idToken" in payload:
            token = _read_token(payload["idToken"])
            known = self.authorizer.find(token)
            data = f"idToken {token.value}: {known.status}" if known else ""
            if payload["clear"]:
                self.authorizer.cache.pop(token.value.lower(), None)
                self.keep_state()
        self.send(
            "NotifyCustomerInformation",
            {
                "data": data if payload["report"] else "",
                "seqNo": 0,
                "generatedAt": self.clock.stamp(),
                "requestId": payload["requestId"],
            },
        )
        return ACCEPTED

    # Transactions

    @handles("RequestStartTransaction")
    def _request_start(self, payload: Payload) -> Payload:
        token = _read_token(payload["idToken"])
        connector = self.station.choose_connector(token, payload.get("evseId"))
        if self.registration != "Accepted" or connector is None:
            return REJECTED
        if "chargingProfile" in payload:
            given = payload["chargingProfile"]
            purpose_fits = given["chargingProfilePurpose"] == "TxProfile" and "transactionId" not in given
            if not purpose_fits or not self._install(given, connector.number, waiting_for(connector)):
                return REJECTED
        # With an EV already plugged in, TxStartPoint EVConnected has a transaction run by now.
        running = connector.transaction
        check = self.options.flag("authorize_remote_start")
        self.station.start_remotely(connector, token, payload["remoteStartId"], check=check)
        return ACCEPTED | ({"transactionId": running.id} if running else {})

    @handles("RequestStopTransaction")
    def _request_stop(self, payload: Payload) -> Payload:
        connector = self.station.find_transaction(payload["transactionId"])
        if self.registration != "Accepted" or connector is None:
            return REJECTED
        self.station.stop(connector, "RemoteStop", "Remote")
        return ACCEPTED

    @handles("GetTransactionStatus")
    def _get_transaction_status(self, payload: Payload) -> Payload:
        transaction_id = payload.get("transactionId")
        if transaction_id is None:
            return {"messagesInQueue": self.has_news_of(None)}
        return {
            "ongoingIndicator": self.station.find_transaction(transaction_id) is not None,
            "messagesInQueue": self.has_news_of(transaction_id),
        }

    # Availability and control

    @handles("ChangeAvailability")
    def _change_availability(self, payload: Payload) -> Payload:
        wanted = self._connectors(payload.get("evse"))
        if not wanted:
            return REJECTED
        operative = payload["operationalStatus"] == "Operative"
        done = [self.station.set_operative(connector, operative) for connector in wanted]
        return ACCEPTED if all(done) else {"status": "Scheduled"}

    @handles("Reset")
    def _reset(self, payload: Payload) -> Payload:
        if "evseId" in payload:
            return REJECTED | _because("UnsupportedParam", "an EVSE cannot be reset on its own")
        if payload["type"] == "OnIdle":
            return ACCEPTED if self.reboot_when_idle() else {"status": "Scheduled"}
        self.end_transactions("ImmediateReset")
        self.reboot("RemoteReset")
        return ACCEPTED

    @handles("UnlockConnector")
    def _unlock(self, payload: Payload) -> Payload:
        connector = self.station.connector(payload["evseId"])
        if connector is None or payload["connectorId"] != CONNECTOR_ID:
            return {"status": "UnknownConnector"}
        if connector.transaction and connector.token:
            return {"status": "OngoingAuthorizedTransaction"}
        return {"status": "UnlockFailed" if connector.fault == "ConnectorLockFailure" else "Unlocked"}

    @handles("TriggerMessage")
    def _trigger(self, payload: Payload) -> Payload:
        connectors = self._connectors(payload.get("evse"))
        if not connectors:
            return REJECTED
        match payload["requestedMessage"]:
            case "BootNotification":
                if self.registration == "Accepted":
                    return REJECTED  # F06.FR.17
                self.boot_again()
            case "Heartbeat":
                self.send_heartbeat(requested=True)
            case "StatusNotification":
                for connector in connectors:
                    self.report_status(connector.number, requested=True)
            case "MeterValues":
                return self._trigger_meter_values(connectors)
            case "TransactionEvent":
                return self._trigger_transaction_events(connectors)
            case "FirmwareStatusNotification":
                update, status = self.maintenance.update, self.maintenance.firmware_status
                about = {"status": status} | _request_id(update.request_id if update else None)
                self.send("FirmwareStatusNotification", about, requested=True)
            case "LogStatusNotification":
                uploading = self.maintenance.log_status == "Uploading"
                about = {"status": "Uploading" if uploading else "Idle"}
                about |= _request_id(self.maintenance.log_request_id if uploading else None)
                self.send("LogStatusNotification", about, requested=True)
            case _:
                return {"status": "NotImplemented"}
        return ACCEPTED

    def _trigger_meter_values(self, connectors: list[Connector]) -> Payload:
        self.station.read_meters()
        for connector in connectors:
            readings = self._meter_values(connector, "aligned", "Trigger", self.clock.now())
            if readings:
                self.send("MeterValues", {"evseId": connector.number, "meterValue": readings}, requested=True)
        return ACCEPTED

    def _trigger_transaction_events(self, connectors: list[Connector]) -> Payload:
        self.station.read_meters()
        running = [connector for connector in connectors if connector.transaction]
        for connector in running:
            if connector.transaction:
                self.tell_updated(connector, connector.transaction, "Trigger")
        return ACCEPTED if running else REJECTED

    def _connectors(self, evse: Payload | None) -> list[Connector]:
        """Those of an EVSE; all without one, or for EVSE 0. None for one that does not exist."""
        if evse is None or evse["id"] == 0:
            return self.station.connectors
        connector = self.station.connector(evse["id"])
        if connector is None or evse.get("connectorId", CONNECTOR_ID) != CONNECTOR_ID:
            return []
        return [connector]

    @handles("DataTransfer")
    def _data_transfer(self, payload: Payload) -> Payload:
        if payload["vendorId"] != VENDOR_ID:
            return {"status": "UnknownVendorId"}
        outcome = self.driver.perform(payload.get("messageId", ""), payload.get("data"))
        return {"status": outcome.status} | ({"data": outcome.data} if outcome.data else {})

    # The device model

    @handles("GetVariables")
    def _get_variables(self, payload: Payload) -> Payload:
        return {"getVariableResult": [self.device.get(wish) for wish in payload["getVariableData"]]}

    @handles("SetVariables")
    def _set_variables(self, payload: Payload) -> Payload:
        return {"setVariableResult": [self.device.set(wish) for wish in payload["setVariableData"]]}

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
        parts = [data[start : start + REPORT_ITEMS] for start in range(0, len(data), REPORT_ITEMS)]
        for number, part in enumerate(parts):
            payload = {
                "requestId": request_id,
                "generatedAt": self.clock.stamp(),
                "seqNo": number,
                "tbc": number + 1 < len(parts),
                "reportData": part,
            }
            self.send("NotifyReport", payload, requested=True)

    # Reservation

    @handles("ReserveNow")
    def _reserve(self, payload: Payload) -> Payload:
        number = payload.get("evseId", 0)
        if "evseId" in payload and self.station.connector(number) is None:
            return REJECTED
        try:
            expires_at = parse_time(payload["expiryDateTime"])
        except ValueError:
            return REJECTED
        group = payload.get("groupIdToken")
        reservation = Reservation(
            id=payload["id"],
            connector_number=number,
            token=_read_token(payload["idToken"]),
            group=group["idToken"] if group else None,
            expires_at=expires_at,
        )
        return {"status": self.station.reserve(reservation)}

    @handles("CancelReservation")
    def _cancel_reservation(self, payload: Payload) -> Payload:
        return ACCEPTED if self.station.cancel_reservation(payload["reservationId"]) else REJECTED

    # Smart charging

    @handles("SetChargingProfile")
    def _set_charging_profile(self, payload: Payload) -> Payload:
        number, given = payload["evseId"], payload["chargingProfile"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        transaction_id = None
        match given["chargingProfilePurpose"]:
            case "ChargingStationMaxProfile" | "ChargingStationExternalConstraints" if number != 0:
                return REJECTED
            case "TxProfile":
                transaction_id = given.get("transactionId")
                if connector is None or self.station.find_transaction(transaction_id or "") is not connector:
                    return REJECTED
        if not self._install(given, number, transaction_id):
            return REJECTED
        self.station.settle()
        self.keep_state()
        return ACCEPTED

    def _install(self, given: Payload, number: int, transaction_id: str | None) -> bool:
        try:
            profile = read_profile(given, number, transaction_id)
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
        criteria = payload.get("chargingProfileCriteria", {})
        doomed = [
            profile
            for profile in self.station.profiles
            if payload.get("chargingProfileId") == profile.id
            or ("chargingProfileId" not in payload and _fits(profile, criteria))
        ]
        self.station.profiles.remove(doomed)
        self.station.settle()
        self.keep_state()
        return ACCEPTED if doomed else {"status": "Unknown"}

    @handles("GetChargingProfiles")
    def _get_charging_profiles(self, payload: Payload) -> Payload:
        criteria = payload["chargingProfile"]
        if "CSO" not in criteria.get("chargingLimitSource", ["CSO"]):
            return {"status": "NoProfiles"}
        place: Payload = {"evseId": payload["evseId"]} if "evseId" in payload else {}
        found = [profile for profile in self.station.profiles if _fits(profile, criteria | place)]
        if "chargingProfileId" in criteria:
            found = [profile for profile in found if profile.id in criteria["chargingProfileId"]]
        numbers = sorted({profile.connector_number for profile in found})
        for number in numbers:
            report = {
                "requestId": payload["requestId"],
                "chargingLimitSource": "CSO",
                "chargingProfile": [p.payload for p in found if p.connector_number == number],
                "evseId": number,
                "tbc": number != numbers[-1],
            }
            self.send("ReportChargingProfiles", report)
        return ACCEPTED if found else {"status": "NoProfiles"}

    @handles("GetCompositeSchedule")
    def _get_composite_schedule(self, payload: Payload) -> Payload:
        number = payload["evseId"]
        connector = self.station.connector(number)
        if connector is None and number != 0:
            return REJECTED
        unit, now = payload.get("chargingRateUnit", "W"), self.clock.now()
        periods = self.station.profiles.composite(connector, now, payload["duration"], unit)
        return {
            "status": "Accepted",
            "schedule": {
                "chargingSchedulePeriod": [
                    {"startPeriod": round(period.start_s), "limit": period.limit}
                    | ({"numberPhases": period.phases} if period.phases else {})
                    for period in periods
                ],
                "evseId": number,
                "duration": payload["duration"],
                "scheduleStart": format_time(now),
                "chargingRateUnit": unit,
            },
        }

    # Firmware and logs

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


ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}


def _because(code: str, text: str) -> Payload:
    return {"statusInfo": {"reasonCode": code, "additionalInfo": text}}


def _request_id(request_id: int | None) -> Payload:
    return {} if request_id is None else {"requestId": request_id}


def _describe_token(token: Token) -> Payload:
    return {"idToken": token.value, "type": token.kind}


def _token_field(token: Token | None) -> Payload:
    return {"idToken": _describe_token(token)} if token else {}


def _read_token(payload: Payload) -> Token:
    return Token(payload["idToken"], payload["type"])


def _read_info(info: Payload) -> TokenInfo:
    expires_at = None
    if "cacheExpiryDateTime" in info:
        try:
            expires_at = parse_time(info["cacheExpiryDateTime"])
        except ValueError:
            expires_at = None
    group = info.get("groupIdToken")
    return TokenInfo(info["status"], group["idToken"] if group else None, expires_at)


def _fits(profile: Profile, criteria: Payload) -> bool:
    return (
        criteria.get("evseId") in (None, profile.connector_number)
        and criteria.get("chargingProfilePurpose") in (None, profile.purpose)
        and criteria.get("stackLevel") in (None, profile.stack_level)
    )
