"""Sends the queued calls one after another, and repeats those about transactions until the CSMS takes them."""

import asyncio
import time
from typing import Never, Protocol

from simulator.configuration import Options
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, Message, Outbox
from simulator.link.schemas import SchemaViolation
from simulator.link.session import CallFailed, Session
from simulator.log import EventLog
from simulator.station.timers import Timers

#: The timer that runs while messages about transactions wait for another attempt.
PAUSE = "transaction retry"

#: And the one until a charger says how many of its messages were dropped for others.
GIVEN_UP, REMARK_S = "messages given up", 5.0


class Sender(Protocol):
    """The charge point, as the delivery uses it."""

    @property
    def reachable(self) -> bool: ...

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
        self._readings_refused = False
        self._was_full = False
        self._given_up = 0  #: for the others of the process, since the last remark on it
        self.outbox.on_dropped = self._drop_for_others

    def queue(self, message: Message) -> None:
        """A full outbox drops others for it, with a remark for each time that it fills up."""
        dropped = self.outbox.put(message)
        if dropped and not self._was_full:
            actions = ", ".join(sorted({each.action for each in dropped}))
            self._log.remark("warning", f"too many messages wait: {len(dropped)} were dropped ({actions})")
        self._was_full = bool(dropped)
        self._fail_all(dropped)

    def _drop_for_others(self, dropped: list[Message]) -> None:
        """All chargers of the process together have too many. A remark at most every REMARK_S says how many were dropped."""
        self._given_up += len(dropped)
        self._fail_all(dropped)
        self._sender.keep_state()
        if not self._timers.is_running(None, GIVEN_UP):
            self._timers.start(None, GIVEN_UP, REMARK_S, self._say_given_up)

    def _say_given_up(self) -> None:
        why = "the messages that wait in all chargers of the process need too much memory"
        self._log.remark("warning", f"{why}: {self._given_up} of this charger were dropped")
        self._given_up = 0

    def _fail_all(self, dropped: list[Message]) -> None:
        for each in dropped:
            failure = CallFailed(CallFailed.DROPPED, "too many messages wait")
            if each.durable:
                self._sender.handle_durable_answer(each, failure)
            each.on_answer(failure)

    async def run(self, session: Session) -> Never:
        """Sends what may be sent until cancelled. Raises ConnectionClosed."""
        while True:
            message = await self.outbox.next(self._may_send)
            payload = self._sender.payload_to_send(message)
            self._sender.save_before_sending()
            message.in_flight = True
            answer = await self._call(session, message.action, payload)
            message.in_flight = False
            message.attempts += 1
            if message.durable:
                self._finish_durable(message, answer)
            else:
                self.outbox.remove(message)
                message.on_answer(answer)

    async def wait_until_done(self, limit_s: float, *, reconnect: bool = False) -> None:
        """Returns when the CSMS has every durable message and has answered what was sent, or after `limit_s`.

        It also returns when the CSMS cannot be reached; with `reconnect` not while messages about transactions wait.
        """
        deadline_s = time.monotonic() + limit_s
        while self.outbox.has_undelivered() and time.monotonic() < deadline_s:
            if not self._sender.reachable and not (reconnect and self.outbox.has_transaction()):
                return
            await asyncio.sleep(0.02)

    def hurry(self) -> None:
        """Before the process ends: what is refused is tried again at once, and a reading that is refused again given up."""
        self._readings_refused = True
        self._timers.cancel(None, PAUSE)
        self.outbox.wake()

    def end_session(self) -> None:
        """After the connection was lost."""
        for report in self.outbox.drop_volatile():
            self._log.remark("error", f"{report.action} was given up: the connection broke on it each time")

    def _may_send(self, message: Message) -> bool:
        paused = message.transaction_id is not None and self._timers.is_running(None, PAUSE)
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
        """Repeats a refused message about a transaction after growing pauses, and drops it at last.

        Messages about transactions keep their order meanwhile, and no others wait (OCPP 1.6 part 1, 3.7.1;
        2.0.1, E13). A link that breaks before the answer costs no attempt.
        """
        failed = isinstance(answer, CallFailed)
        if isinstance(answer, CallFailed):
            if answer.code != CallFailed.UNSENT and message.attempts < self._attempts(message):
                pause_s = self._options.number("transaction_retry_s") * message.attempts
                self._timers.start(None, PAUSE, pause_s, self.outbox.wake)
                return
            if message.transaction_id is not None:
                self._log.remark("error", f"{message.action} was given up after {message.attempts} attempts")
        if message.transaction_id is not None and message.droppable:
            self._readings_refused = failed
        self.outbox.remove(message)
        self._sender.handle_durable_answer(message, answer)
        message.on_answer(answer)
        self._sender.keep_state()

    def _attempts(self, message: Message) -> int:
        """Readings that are always refused must not hold up the end of their transaction.

        After one was given up, each of the next has a single attempt until the CSMS takes one.
        """
        if message.transaction_id is None or (message.droppable and self._readings_refused):
            return 1
        return self._options.number("transaction_attempts")
