"""OCPP 2.0.1: TransactionEvent, MeterValues, requested starts and stops."""

from simulator.charge_point.charging_profiles import ProfileRefused
from simulator.charge_point.common_requests import ACCEPTED, CONTEXT_OF_TRIGGER, REJECTED, CommonRequests
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message
from simulator.link.session import CallFailed
from simulator.station.model import Connector, Ending, Reading, Token, Transaction
from simulator.v201.answers import rejected
from simulator.v201.authorization import describe_token, read_group, read_token

#: The only connector of each EVSE.
CONNECTOR_ID = 1

#: With these the power changes, and with it perhaps the phases that a car uses.
POWER_TRIGGERS = frozenset({"ChargingStateChanged", "ChargingRateChanged"})

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


class Transactions201(CommonRequests):
    def report_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        readings = self.meter_values(connector, "started", "Transaction.Begin", transaction.started_at)
        event: Payload = {
            "eventType": "Started",
            "triggerReason": trigger,
            "timestamp": format_time(transaction.started_at),
            **_token_field(transaction.token),
        }
        if readings:
            event["meterValue"] = readings
        if transaction.reservation_id is not None:
            event["reservationId"] = transaction.reservation_id
        self._send_event(connector, transaction, event)

    def report_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        context = CONTEXT_OF_TRIGGER.get(trigger)
        event: Payload = {"eventType": "Updated", "triggerReason": trigger}
        if context:
            option = "aligned" if context == "Sample.Clock" else "sampled"
            readings = self.meter_values(connector, option, context, self.clock.now())
            if readings:
                event["meterValue"] = readings
            elif trigger != "Trigger":  # F06.FR.07: the event that was triggered is sent
                return
        if trigger in POWER_TRIGGERS and connector.power_w and not self.station.electrics.is_dc:
            event["numberOfPhasesUsed"] = connector.phases
        if trigger in ("Authorized", "RemoteStart"):
            event |= _token_field(transaction.token)
            if transaction.reservation_id is not None:
                event["reservationId"] = transaction.reservation_id
        self._send_event(connector, transaction, event)

    def report_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None:
        readings = self.values_of_end(connector, transaction, ending.moment)
        event: Payload = {
            "eventType": "Ended",
            "triggerReason": ending.trigger,
            "timestamp": format_time(ending.moment),
            **_token_field(ending.token),
        }
        if readings:
            event["meterValue"] = readings
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
        self.send_durable(
            "TransactionEvent",
            payload,
            transaction.id,
            droppable=event["eventType"] == "Updated",
            requested=event["triggerReason"] == "Trigger",
        )

    def describe_value(self, reading: Reading) -> Payload:
        return {"value": reading.value} | ({"unitOfMeasure": {"unit": reading.unit}} if reading.unit else {})

    def meter_payload(self, connector: Connector, values: list[Payload]) -> Payload:
        return {"evseId": connector.number, "meterValue": values}

    def trigger_transaction_events(self, connectors: list[Connector]) -> Payload:
        self.station.energy.update_meters()
        running = [(each, each.transaction) for each in connectors if each.transaction]
        for connector, transaction in running:
            self.report_updated(connector, transaction, "Trigger")
        return ACCEPTED if running else REJECTED

    def handle_durable_answer(self, message: Message, answer: Answer) -> None:
        if message.transaction_id is None or isinstance(answer, CallFailed) or "idTokenInfo" not in answer:
            return
        token = self._token_of(message)
        if token:
            self.take_token_info(message.transaction_id, token, answer["idTokenInfo"])

    def _token_of(self, message: Message) -> Token | None:
        """The token that the answer is about: the event's, or else the running transaction's (E06.FR.04)."""
        if "idToken" in message.payload:
            return read_token(message.payload["idToken"])
        connector = self.station.transactions.find(message.transaction_id or "")
        return connector.token if connector else None

    # Remote control

    @handles("RequestStartTransaction")
    def _request_start(self, payload: Payload) -> Payload:
        token = read_token(payload["idToken"])
        group = read_group(payload)
        check = self.options.flag("authorize_remote_start")
        connector = self.station.sessions.choose_connector(
            token, payload.get("evseId"), group=group, check=check
        )
        if not self.is_accepted or connector is None:
            return REJECTED
        try:
            self.install_profile_of_start(payload, connector)
        except ProfileRefused as refused:
            # F01.FR.26 names these two reason codes.
            code = "InvalidSchedule" if refused.code == "InvalidSchedule" else "InvalidProfile"
            return rejected(code, str(refused))
        # With an EV already plugged in and TxStartPoint EVConnected, a transaction runs by now.
        running = connector.transaction
        self.station.sessions.start_remotely(
            connector, token, payload["remoteStartId"], group=group, check=check
        )
        return ACCEPTED | ({"transactionId": running.id} if running else {})

    def remote_start(self, connector: Connector, token: Token, profile: Payload) -> tuple[str, Payload]:
        payload = {
            "evseId": connector.number,
            "remoteStartId": connector.remote_start_id or 0,
            "idToken": describe_token(token),
            "chargingProfile": profile,
        }
        return "RequestStartTransaction", payload

    @handles("RequestStopTransaction")
    def _request_stop(self, payload: Payload) -> Payload:
        connector = self.station.transactions.find(read_transaction_id(payload) or "")
        if not self.is_accepted or connector is None:
            return REJECTED
        self.station.transactions.stop(connector, "RemoteStop", "Remote")
        return ACCEPTED

    @handles("GetTransactionStatus")
    def _get_transaction_status(self, payload: Payload) -> Payload:
        transaction_id = read_transaction_id(payload)
        status: Payload = {"messagesInQueue": self.has_queued_messages(transaction_id)}
        if transaction_id is not None:
            status["ongoingIndicator"] = self.station.transactions.find(transaction_id) is not None
        return status


def read_transaction_id(payload: Payload) -> str | None:
    """In lower case, as the charger makes it: an identifierString is not case-sensitive (CiString in libocpp)."""
    return str(payload["transactionId"]).lower() if "transactionId" in payload else None


def _token_field(token: Token | None) -> Payload:
    return {"idToken": describe_token(token)} if token else {}
