"""Sends the queued calls one after another, and repeats the durable ones until the CSMS takes them."""

import time
from typing import Never, Protocol

from simulator.configuration import Options
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message, Outbox
from simulator.link.schemas import SchemaViolation
from simulator.link.session import CallFailed, Session
from simulator.log import EventLog
from simulator.station.timers import Timers


class Sender(Protocol):
    """The charge point, as the delivery uses it."""

    def may_send(self, message: Message) -> bool: ...

    def payload_to_send(self, message: Message) -> Payload: ...

    def handle_durable_answer(self, message: Message, answer: Answer) -> None: ...

    def save_before_sending(self) -> None: ...

    def keep_state(self) -> None: ...


class Delivery:
    def __init__(self, options: Options, log: EventLog, timers: Timers, sender: Sender) -> None:
        self.outbox = Outbox()
        self._options = options
        self._log = log
        self._timers = timers
        self._sender = sender
        self._durable_paused_until_s = 0.0

    async def run(self, session: Session) -> Never:
        """Sends what may be sent until cancelled. Raises ConnectionClosed."""
        while True:
            message = await self.outbox.next(self._may_send)
            payload = self._sender.payload_to_send(message)
            self._sender.save_before_sending()
            message.attempts += 1
            answer = await self._call(session, message.action, payload)
            if message.durable:
                self._finish_durable(message, answer)
            else:
                self.outbox.remove(message)
                message.on_answer(answer)

    def _may_send(self, message: Message) -> bool:
        paused = message.durable and time.monotonic() < self._durable_paused_until_s
        return not paused and self._sender.may_send(message)

    async def _call(self, session: Session, action: str, payload: Payload) -> Answer:
        try:
            return await session.call(action, payload)
        except CallFailed as failure:
            self._log.remark("warning", f"{action} failed: {failure}")
            return failure
        except SchemaViolation as violation:
            self._log.remark("error", f"{action} was not sent: {violation}")
            return CallFailed(CallFailed.UNSENT, str(violation))

    def _finish_durable(self, message: Message, answer: Answer) -> None:
        """Repeats a refused message after growing pauses, and drops it at last (OCPP 1.6 part 1, 3.7.1)."""
        retriable = isinstance(answer, CallFailed) and answer.code != CallFailed.UNSENT
        if retriable and message.attempts < self._options.number("transaction_attempts"):
            pause_s = self._options.number("transaction_retry_s") * message.attempts
            self._durable_paused_until_s = time.monotonic() + pause_s
            self._timers.start(None, "transaction_retry", pause_s, self.outbox.wake)
            return
        if isinstance(answer, CallFailed):
            self._log.remark("error", f"{message.action} was given up after {message.attempts} attempts")
        self.outbox.remove(message)
        self._sender.handle_durable_answer(message, answer)
        self._sender.keep_state()
