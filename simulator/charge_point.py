"""What both protocol versions share: registering, beating, reporting, answering."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, Literal, TypeVar

from ocpp.exceptions import (  # type: ignore[import-untyped]
    InternalError,
    NotSupportedError,
    SecurityError,
)

from simulator.clock import Clock
from simulator.frames import Payload
from simulator.log import EventLog
from simulator.model import Connector
from simulator.outbox import Message, Outbox, Then, ignore
from simulator.schemas import SchemaSet, SchemaViolation
from simulator.session import CallFailed, Session
from simulator.settings import Settings

Registration = Literal["Unknown", "Accepted", "Pending", "Rejected"]
Handler = Callable[[Any, Payload], Payload]
HandlerT = TypeVar("HandlerT", bound=Handler)

#: Waited before another BootNotification when the CSMS names no interval, or does not answer.
DEFAULT_BOOT_RETRY_S = 30.0
DEFAULT_HEARTBEAT_S = 300.0


def handles(action: str) -> Callable[[HandlerT], HandlerT]:
    """Marks the method that answers this action."""

    def mark(method: HandlerT) -> HandlerT:
        method.action = action  # type: ignore[attr-defined]
        return method

    return mark


class ChargePoint(ABC):
    """One charger, whatever the version: the model, what it has to say, and what it answers."""

    subprotocol: ClassVar[str]
    schema_set: ClassVar[SchemaSet]
    handlers: ClassVar[dict[str, Handler]]

    def __init_subclass__(cls) -> None:
        cls.handlers = {
            member.action: member
            for base in reversed(cls.__mro__)
            for member in vars(base).values()
            if hasattr(member, "action")
        }

    def __init__(self, settings: Settings, log: EventLog) -> None:
        self.settings = settings
        self.log = log
        self.clock = Clock()
        self.connectors = [Connector(number) for number in range(1, settings.connectors + 1)]
        self.registration: Registration = "Unknown"
        self.heartbeat_interval_s = DEFAULT_HEARTBEAT_S
        self.online = False
        self._outbox = Outbox()
        self._boot_now = asyncio.Event()
        self._heartbeat: asyncio.TimerHandle | None = None
        self._status_known_to_csms: dict[int, str] = {}

    # What differs between the versions

    @abstractmethod
    def boot_payload(self) -> Payload: ...

    @abstractmethod
    def status_of(self, connector_number: int) -> str:
        """The status in the version's own words."""

    @abstractmethod
    def status_payload(self, connector_number: int, status: str) -> Payload: ...

    @abstractmethod
    def reporting_numbers(self) -> range:
        """The connectors that StatusNotification tells about."""

    # A connection

    async def talk(self, session: Session) -> None:
        """Registers if need be, then sends what there is to send; ends by cancellation."""
        self.online = True
        if self.settings.boot_on_reconnect:
            self.registration = "Unknown"
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._register(session))
                tasks.create_task(self._deliver(session))
        finally:
            self.online = False
            self._stop_heartbeat()
            self._outbox.drop_fleeting()

    def answer(self, action: str, payload: Payload) -> Payload:
        """Raises OCPPError. Whatever the answer sets off is queued, so it leaves after the answer."""
        if self.registration in ("Unknown", "Rejected"):
            raise SecurityError("this charger has not been accepted")
        handler = self.handlers.get(action)
        if handler is None:
            raise NotSupportedError("this charger does not support this action")
        try:
            return handler(self, payload)
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            self.log.remark("error", f"{action} could not be answered: {error!r}")
            raise InternalError("the charger failed on this request") from error

    async def _register(self, session: Session) -> None:
        rebooted = self.registration != "Accepted"
        while (retry_s := await self._boot(session)) is not None:
            self._boot_now.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await self._boot_now.wait()
        if not rebooted:
            self.log.connection(
                "accepted", "still_accepted", "accepted at the last boot; only the connection is new"
            )
        self._start_heartbeat()
        self.report_statuses(only_changes=not rebooted)
        self._outbox.look_again()

    async def _boot(self, session: Session) -> float | None:
        """Seconds until the next try; None when the CSMS has accepted."""
        if self.registration == "Accepted":
            return None
        try:
            answer = await session.call("BootNotification", self.boot_payload())
            self.clock.set(answer["currentTime"])
        except CallFailed as failure:
            self.log.remark("warning", f"BootNotification failed: {failure}")
            return DEFAULT_BOOT_RETRY_S
        except ValueError:
            self.log.remark("warning", f"the CSMS's clock cannot be read: {answer['currentTime'][:50]!r}")
        self.registration = answer["status"]
        interval_s = float(answer["interval"]) if answer["interval"] > 0 else 0.0
        match self.registration:
            case "Accepted":
                self.heartbeat_interval_s = interval_s or DEFAULT_HEARTBEAT_S
                self.log.connection("accepted", None, "the CSMS accepted the boot")
            case "Pending":
                self.log.connection(
                    "connected", "boot_pending", "the CSMS has not decided about this charger yet"
                )
            case _:
                self.log.connection("rejected", "boot_rejected", "the CSMS rejected this charger")
        self._outbox.look_again()
        return None if self.registration == "Accepted" else interval_s or DEFAULT_BOOT_RETRY_S

    def _may_leave(self, message: Message) -> bool:
        if self.registration == "Pending":
            return message.requested
        return self.registration == "Accepted"

    async def _deliver(self, session: Session) -> None:
        while True:
            message = await self._outbox.next(self._may_leave)
            answer: Payload | CallFailed
            try:
                answer = await session.call(message.action, message.payload)
            except CallFailed as failure:
                self.log.remark("warning", f"{message.action} failed: {failure}")
                answer = failure
            except SchemaViolation as violation:
                self.log.remark("error", f"{message.action} was not sent: {violation}")
                answer = CallFailed(CallFailed.BAD_ANSWER, str(violation))
            self._outbox.remove(message)
            message.then(answer)

    # Sending

    def send(
        self,
        action: str,
        payload: Payload,
        then: Then = ignore,
        *,
        durable: bool = False,
        requested: bool = False,
    ) -> None:
        """Queues a call. One that is not durable is forgotten when the connection is away."""
        if self.online or durable:
            self._outbox.put(Message(action, payload, then, durable, requested))

    def report_statuses(self, *, only_changes: bool) -> None:
        for number in self.reporting_numbers():
            if not only_changes or self._status_known_to_csms.get(number) != self.status_of(number):
                self.report_status(number)

    def report_status(self, connector_number: int, *, requested: bool = False) -> None:
        status = self.status_of(connector_number)

        def remember(answer: Payload | CallFailed) -> None:
            if not isinstance(answer, CallFailed):
                self._status_known_to_csms[connector_number] = status

        self.send(
            "StatusNotification", self.status_payload(connector_number, status), remember, requested=requested
        )

    # Heartbeats

    def _start_heartbeat(self) -> None:
        self._stop_heartbeat()
        if self.heartbeat_interval_s > 0:
            self._heartbeat = asyncio.get_running_loop().call_later(
                self.heartbeat_interval_s, self._heartbeat_is_due
            )

    def _stop_heartbeat(self) -> None:
        if self._heartbeat:
            self._heartbeat.cancel()

    def _heartbeat_is_due(self) -> None:
        if not self._outbox.has("Heartbeat"):
            self.send_heartbeat()
        self._start_heartbeat()

    def send_heartbeat(self, *, requested: bool = False) -> None:
        def set_clock(answer: Payload | CallFailed) -> None:
            if not isinstance(answer, CallFailed):
                try:
                    self.clock.set(answer["currentTime"])
                except ValueError:
                    self.log.remark(
                        "warning", f"the CSMS's clock cannot be read: {answer['currentTime'][:50]!r}"
                    )

        self.send("Heartbeat", {}, set_clock, requested=requested)
