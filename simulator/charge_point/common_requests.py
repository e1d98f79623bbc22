"""The requests that every OCPP version answers in the same way, and what the answers to other requests share."""

import json
from collections.abc import Callable, Iterable, Sequence, Sized

from ocpp.exceptions import (  # type: ignore[import-untyped]
    FormatViolationError,
    OccurrenceConstraintViolationError,
)

from simulator.actions.data_transfer import VENDOR_ID
from simulator.charge_point.smart_charging import SmartCharging
from simulator.charge_point.translation import handles
from simulator.clock import format_time, parse_time
from simulator.link.frames import Payload
from simulator.link.outbox import Answer
from simulator.link.session import CallFailed
from simulator.station.authorization import TokenInfo
from simulator.station.model import Connector, Level, Reading, Reservation, Sample, Token, Transaction

ACCEPTED: Payload = {"status": "Accepted"}
REJECTED: Payload = {"status": "Rejected"}

#: The context of a reading by the trigger of its report.
CONTEXT_OF_TRIGGER = {
    "MeterValuePeriodic": "Sample.Periodic",
    "MeterValueClock": "Sample.Clock",
    "Trigger": "Trigger",
}


class CommonRequests(SmartCharging):
    @handles("CancelReservation")
    def _cancel_reservation(self, payload: Payload) -> Payload:
        return ACCEPTED if self.station.reservations.cancel(payload["reservationId"]) else REJECTED

    def reserve(
        self, reservation_id: int, number: int, token: Token, *, group: str | None, expiry: str
    ) -> Payload:
        """Rejected for a connector that does not exist (0: any), and for an expiry that is not a time."""
        expires_at = read_expiry(expiry)
        if expires_at is None or not 0 <= number <= len(self.station.connectors):
            return REJECTED
        reservation = Reservation(reservation_id, number, token, group, expires_at)
        return {"status": self.station.reservations.reserve(reservation)}

    @handles("ClearCache")
    def _clear_cache(self, _: Payload) -> Payload:
        if not self.authorizer.clear_cache():
            return REJECTED
        self.keep_state()
        return ACCEPTED

    @handles("DataTransfer")
    def _data_transfer(self, payload: Payload) -> Payload:
        if payload["vendorId"].lower() != VENDOR_ID:
            return {"status": "UnknownVendorId"}
        answer = self.data_transfer.perform(payload.get("messageId", ""), payload.get("data"))
        return {"status": answer.status} | ({"data": answer.data} if answer.data else {})

    # Authorization

    def request_authorization(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None:
        def take(answer: Answer) -> None:
            then(None if isinstance(answer, CallFailed) else self.learn_token(token, answer[self.info_field]))

        self.send("Authorize", self.authorize_payload(token), take)

    def learn_token(self, token: Token, info: Payload) -> TokenInfo:
        """Caches what the CSMS's answer says about a token."""
        known = self.read_token_info(info)
        self.authorizer.remember(token, known)
        return known

    def update_local_list(
        self, version: int, entries: Sequence[tuple[str, Payload | None]], update_type: str
    ) -> Payload:
        """An entry without info is removed from the list."""
        read = [(name, None if info is None else self.read_token_info(info)) for name, info in entries]
        status = self.authorizer.update_list(version, read, full=update_type == "Full")
        self.keep_state()
        return {"status": status}

    def take_token_info(self, transaction_id: str, token: Token, info: Payload) -> None:
        """Takes what the CSMS's answer to a report of a transaction says about its token."""
        self.station.transactions.take_token_info(transaction_id, self.learn_token(token, info))

    # Availability

    def set_operative(self, connectors: list[Connector], level: Level, status: str) -> Payload:
        """Sets the own state of a level to Operative or Inoperative."""
        done = self.station.availability.set_operative(connectors, level, status == "Operative")
        return ACCEPTED if done else {"status": "Scheduled"}

    # Meter values

    def meter_values(self, connector: Connector, name: str, context: str, moment: float) -> list[Payload]:
        """One, or none when the list of that name has no measurand that the connector has now."""
        readings = self.station.meter.read(connector, name, context)
        return [self._describe_sample(Sample(moment, context, readings))] if readings else []

    def send_meter_values(
        self, connector: Connector, name: str, context: str, transaction: Transaction | None
    ) -> None:
        if values := self.meter_values(connector, name, context, self.clock.now()):
            payload = self.meter_payload(connector, values)
            self.send_durable("MeterValues", payload, transaction.id if transaction else None, droppable=True)

    def report_meter(self, connector: Connector) -> None:
        self.send_meter_values(connector, "aligned", "Sample.Clock", None)

    def trigger_meter_values(self, connectors: Iterable[Connector], name: str) -> Payload:
        """Rejected when none of the connectors has a reading of the list of that name, as in libocpp."""
        self.station.energy.update_meters()
        self.keep_state()
        answer = REJECTED
        for connector in connectors:
            if values := self.meter_values(connector, name, "Trigger", self.clock.now()):
                self.send("MeterValues", self.meter_payload(connector, values), requested=True)
                answer = ACCEPTED
        return answer

    def values_of_end(self, connector: Connector, transaction: Transaction, moment: float) -> list[Payload]:
        """What was recorded for the report of the transaction's end, and the readings at its end."""
        recorded = [self._describe_sample(sample) for sample in transaction.samples]
        return recorded + self.meter_values(connector, "ended", "Transaction.End", moment)

    def _describe_sample(self, sample: Sample) -> Payload:
        values = [self._describe_reading(reading, sample.context) for reading in sample.readings]
        return {"timestamp": format_time(sample.moment), "sampledValue": values}

    def _describe_reading(self, reading: Reading, context: str) -> Payload:
        described = {
            "context": context,
            "measurand": reading.measurand,
            "location": "EV" if reading.measurand == "SoC" else "Outlet",
            **self.describe_value(reading),
        }
        return described | ({"phase": reading.phase} if reading.phase else {})


def check_size(payload: Payload, items: Sized, max_items: int, max_bytes: int | None = None) -> None:
    """Raises the OCPPError of a request that is larger than the charger says it takes (OCPP 2.0.1, B06.FR.16, .17)."""
    if len(items) > max_items:
        raise OccurrenceConstraintViolationError(f"at most {max_items} at once")
    text = json.dumps(payload, ensure_ascii=False)
    if max_bytes is not None and len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise FormatViolationError(f"at most {max_bytes} bytes at once")


def read_expiry(text: str | None) -> float | None:
    """None for no time, and for one that is not ISO 8601."""
    if text is None:
        return None
    try:
        return parse_time(text)
    except ValueError:
        return None
