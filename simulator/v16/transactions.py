"""OCPP 1.6: StartTransaction, StopTransaction, MeterValues, remote starts and stops."""

from simulator.charge_point.charging_profiles import ProfileRefused
from simulator.charge_point.common_requests import ACCEPTED, CONTEXT_OF_TRIGGER, REJECTED, CommonRequests
from simulator.charge_point.memory import State
from simulator.charge_point.translation import handles
from simulator.clock import format_time
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message
from simulator.link.session import CallFailed
from simulator.log import EventLog
from simulator.settings import Settings
from simulator.station.model import Connector, Ending, Reading, Token, Transaction

#: The transactionId of a StopTransaction whose StartTransaction was never answered.
UNKNOWN_TRANSACTION = -1

#: The lists that are read at a trigger: what is reported at once, and what with the end of the transaction.
LISTS_OF_TRIGGER = {
    "MeterValuePeriodic": ("sampled", "ended"),
    "MeterValueClock": ("aligned", "aligned_ended"),
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


class Transactions16(CommonRequests):
    def __init__(self, settings: Settings, log: EventLog) -> None:
        super().__init__(settings, log)
        #: the CSMS's transactionId by our id; kept until the CSMS has the StopTransaction
        self._csms_ids: dict[str, int] = {}
        #: the idTag of a transaction whose StopTransaction names none, by our id; kept as long
        self._ended_tags: dict[str, str] = {}

    def report_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        payload = {
            "connectorId": connector.number,
            "idTag": transaction.token.value if transaction.token else "",
            "meterStart": round(transaction.meter_start_wh),
            "timestamp": format_time(transaction.started_at),
        }
        if transaction.reservation_id is not None:
            payload["reservationId"] = transaction.reservation_id
        self.send_durable("StartTransaction", payload, transaction.id)

    def report_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None:
        """Of all that happens in a transaction, 1.6 has a message for readings only.

        Its end reports those of the same intervals (part 1, 9.1.25 and 9.1.27); 2.0.1 has intervals for it.
        """
        if trigger in LISTS_OF_TRIGGER:
            context, (reported, recorded) = CONTEXT_OF_TRIGGER[trigger], LISTS_OF_TRIGGER[trigger]
            self.send_meter_values(connector, reported, context, transaction)
            if not self.options.number(f"{recorded}_s"):
                self.station.sampling.record(connector, recorded, context)

    def report_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None:
        payload: Payload = {
            "transactionId": UNKNOWN_TRANSACTION,
            "meterStop": round(connector.energy_wh),
            "timestamp": format_time(ending.moment),
            "reason": ending.reason if ending.reason in STOP_REASONS else "Other",
        }
        if ending.token:
            payload["idTag"] = ending.token.value
        elif transaction.token:
            self._ended_tags[transaction.id] = transaction.token.value
        if values := self.values_of_end(connector, transaction, ending.moment):
            payload["transactionData"] = values
        self.send_durable("StopTransaction", payload, transaction.id)

    def describe_value(self, reading: Reading) -> Payload:
        """A value is a decimal as text."""
        text = f"{reading.value:.3f}".rstrip("0").removesuffix(".")
        return {"value": text} | ({"unit": reading.unit} if reading.unit else {})

    def meter_payload(self, connector: Connector, values: list[Payload]) -> Payload:
        payload: Payload = {"connectorId": connector.number, "meterValue": values}
        known = self.csms_id(connector.transaction)
        return payload if known is None else payload | {"transactionId": known}

    # The transactionId, which the CSMS gives

    def csms_id(self, transaction: Transaction | None) -> int | None:
        """None until the CSMS has answered the StartTransaction."""
        return self._csms_ids.get(transaction.id) if transaction else None

    def transaction_id_of(self, transaction: Transaction) -> str:
        """The CSMS's number; ours until it has answered the StartTransaction."""
        known = self.csms_id(transaction)
        return transaction.id if known is None else str(known)

    def payload_to_send(self, message: Message) -> Payload:
        if message.transaction_id is None or message.action == "StartTransaction":
            return message.payload
        known = self._csms_ids.get(message.transaction_id)
        if known is None and message.action == "MeterValues":
            return message.payload
        return message.payload | {"transactionId": UNKNOWN_TRANSACTION if known is None else known}

    def handle_durable_answer(self, message: Message, answer: Answer) -> None:
        transaction_id = message.transaction_id
        if transaction_id is None:
            return
        id_tag = message.payload.get("idTag")
        if message.action == "StopTransaction":
            self._csms_ids.pop(transaction_id, None)
            id_tag = id_tag or self._ended_tags.pop(transaction_id, None)
        if isinstance(answer, CallFailed):
            return
        if message.action == "StartTransaction":
            self._csms_ids[transaction_id] = answer["transactionId"]
        if id_tag and "idTagInfo" in answer:
            self.take_token_info(transaction_id, Token(id_tag), answer["idTagInfo"])

    def describe(self) -> State:
        return super().describe() | {"transaction_ids": self._csms_ids, "ended_tags": self._ended_tags}

    def recall(self, state: State) -> None:
        self._csms_ids.update(state.get("transaction_ids", {}))
        self._ended_tags.update(state.get("ended_tags", {}))
        super().recall(state)

    # Remote control

    @handles("RemoteStartTransaction")
    def _remote_start(self, payload: Payload) -> Payload:
        token = Token(payload["idTag"])
        number = payload.get("connectorId")
        check = self.options.flag("authorize_remote_start")
        connector = self.station.sessions.choose_connector(token, number, check=check)
        if not self.is_accepted or number == 0 or connector is None:
            return REJECTED
        try:
            self.install_profile_of_start(payload, connector)
        except ProfileRefused as refused:
            self.log.remark("warning", f"the charging profile of the remote start is refused: {refused}")
            return REJECTED
        self.station.sessions.start_remotely(connector, token, None, check=check)
        return ACCEPTED

    def remote_start(self, connector: Connector, token: Token, profile: Payload) -> tuple[str, Payload]:
        payload = {"connectorId": connector.number, "idTag": token.value, "chargingProfile": profile}
        return "RemoteStartTransaction", payload

    @handles("RemoteStopTransaction")
    def _remote_stop(self, payload: Payload) -> Payload:
        csms_id = payload["transactionId"]
        running = self.station.running()
        connector = next(
            (each for each, transaction in running if self.csms_id(transaction) == csms_id), None
        )
        if not self.is_accepted or connector is None:
            return REJECTED
        self.station.transactions.stop(connector, "RemoteStop", "Remote")
        return ACCEPTED
