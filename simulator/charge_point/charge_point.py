"""What both protocol versions share: registering, beating, reporting, answering, remembering."""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

from ocpp.exceptions import (  # type: ignore[import-untyped]
    InternalError,
    NotSupportedError,
    SecurityError,
)

from simulator.charge_point import memory
from simulator.charge_point.actions import Driver
from simulator.clock import Clock
from simulator.link.frames import Payload
from simulator.link.outbox import Message, Outbox, Then, ignore
from simulator.link.schemas import SchemaViolation
from simulator.link.session import CallFailed, Session
from simulator.log import EventLog
from simulator.settings import Settings
from simulator.station.authorization import Authorizer, TokenInfo
from simulator.station.configuration import Options
from simulator.station.maintenance import Maintenance, Update
from simulator.station.model import Connector, Ending, Reservation, Token, Transaction, electrics_of
from simulator.station.station import Station
from simulator.together import run_together
from simulator.versions import VERSIONS

Registration = Literal["Unknown", "Accepted", "Pending", "Rejected"]
HandlerT = TypeVar("HandlerT", bound=Callable[..., Payload])

#: Waited before another BootNotification when the CSMS names no interval, or does not answer.
DEFAULT_BOOT_RETRY_S = 30.0

#: A gentle reboot waits this long for the CSMS to learn of the transactions that it ended.
GENTLE_S = 10.0

#: Any reboot leaves its answer this long to get out.
ANSWER_S = 0.05


class Rebooting(Exception):
    """Ends the session: the charger starts again."""


def handles(action: str) -> Callable[[HandlerT], HandlerT]:
    """Marks the method that answers this action."""

    def mark(method: HandlerT) -> HandlerT:
        method.action = action  # type: ignore[attr-defined]
        return method

    return mark


class ChargePoint(ABC):
    """One charger, whatever the version. It knows nothing of sockets; see `life.py`."""

    handlers: ClassVar[dict[str, Callable[..., Payload]]]
    #: options whose default is another one in this version
    version_defaults: ClassVar[Mapping[str, str]] = {}

    def __init_subclass__(cls) -> None:
        cls.handlers = {
            member.action: member
            for base in reversed(cls.__mro__)
            for member in vars(base).values()
            if hasattr(member, "action")
        }

    def __init__(self, settings: Settings, log: EventLog) -> None:
        """Raises ValueError for a configuration that this charger does not take."""
        self.version = VERSIONS[settings.ocpp_version]
        self.settings = settings
        self.log = log
        self.clock = Clock()
        self.options = Options(self._facts(settings), settings.configuration)
        self.authorizer = Authorizer(self.options, self.clock.now, self)
        self.station = Station(
            settings,
            options=self.options,
            clock=self.clock,
            electrics=electrics_of(settings.connector_type, settings.max_power_w),
            authorizer=self.authorizer,
            teller=self,
        )
        self.maintenance = Maintenance(self.clock, settings.job_step_s, settings.firmware_version, self)
        self.driver = Driver(self.station)
        self.registration: Registration = "Unknown"
        self.online = False
        self.boot_reason = "PowerUp"
        self._outbox = Outbox()
        self._boot_now = asyncio.Event()
        self._reboot_wanted = asyncio.Event()
        self._reboot_is_gentle = False
        self._reset_when_idle = False
        self._heartbeat: asyncio.TimerHandle | None = None
        self._save: asyncio.Handle | None = None
        self._told: dict[int, str] = {}  # by connector: the last status that was queued
        self._known: dict[int, str] = {}  # and the last that the CSMS confirmed
        self._durable_paused_until_s = 0.0
        self._offline_since_s = 0.0

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

    @abstractmethod
    def tell_started(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    @abstractmethod
    def tell_updated(self, connector: Connector, transaction: Transaction, trigger: str) -> None: ...

    @abstractmethod
    def tell_ended(self, connector: Connector, transaction: Transaction, ending: Ending) -> None: ...

    @abstractmethod
    def tell_meter(self, connector: Connector) -> None: ...

    @abstractmethod
    def tell_reservation_over(self, reservation: Reservation, status: str) -> None: ...

    @abstractmethod
    def tell_firmware(self, status: str, request_id: int | None) -> None: ...

    @abstractmethod
    def tell_log(self, status: str, request_id: int | None) -> None: ...

    @abstractmethod
    def ask_about(self, token: Token, then: Callable[[TokenInfo | None], None]) -> None: ...

    @abstractmethod
    def take_durable_answer(self, message: Message, answer: Payload | CallFailed) -> None:
        """The answer to a durable message, which may have been queued by an earlier process."""

    def complete(self, message: Message) -> Payload | None:
        """The payload as it is known at the time of sending; None for a message that became moot."""
        return message.payload

    # A connection

    async def talk(self, session: Session) -> None:
        """Registers if need be, then sends what there is to send. Ends by cancellation, or raises Rebooting."""
        self.online = True
        if self.settings.boot_on_reconnect:
            self.registration = "Unknown"
        try:
            await run_together(self._register(session), self._deliver(session), self._watch_for_reboot())
        finally:
            self.online = False
            self._offline_since_s = time.monotonic()
            self._stop_heartbeat()
            self._outbox.drop_fleeting()
            self._told = dict(self._known)

    def answer(self, action: str, payload: Payload) -> Payload:
        """Raises OCPPError. Whatever the answer sets off is queued, so it leaves after the answer."""
        if self.registration in ("Unknown", "Rejected"):
            raise SecurityError("this charger has not been accepted")
        handler = self.handlers.get(action)
        if handler is None:
            raise NotSupportedError("this charger does not support this action")
        try:
            return handler(self, payload)
        except (ArithmeticError, AttributeError, LookupError, TypeError) as error:
            self.log.remark("error", f"{action} could not be answered: {error!r}")
            raise InternalError("the charger failed on this request") from error

    @property
    def reachable(self) -> bool:
        return self.online and self.registration == "Accepted"

    async def _register(self, session: Session) -> None:
        rebooted = self.registration != "Accepted"
        while (retry_s := await self._boot(session)) is not None:
            self._boot_now.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await self._boot_now.wait()
        if rebooted:
            self.maintenance.finish_after_reboot()
        else:
            self.log.connection(
                "accepted", "still_accepted", "accepted at its last boot; only the link is new"
            )
        self.restart_heartbeat()
        away_s = time.monotonic() - self._offline_since_s
        self.report_statuses(
            only_changes=not rebooted and away_s <= self.options.number("offline_threshold_s")
        )
        self._outbox.look_again()

    async def _boot(self, session: Session) -> float | None:
        """Seconds until the next try; None when the CSMS has accepted."""
        if self.registration == "Accepted":
            return None
        try:
            answer = await session.call("BootNotification", self.boot_payload())
        except CallFailed as failure:
            self.log.remark("warning", f"BootNotification failed: {failure}")
            return DEFAULT_BOOT_RETRY_S
        self._set_clock(answer)
        self.registration = answer["status"]
        interval_s = max(answer["interval"], 0)
        match self.registration:
            case "Accepted":
                if interval_s:
                    self.options.set("heartbeat_s", interval_s)
                self.log.connection("accepted", None, "the CSMS accepted the boot")
            case "Pending":
                self.log.connection(
                    "connected", "boot_pending", "the CSMS has not decided about this charger yet"
                )
            case _:
                self.log.connection("rejected", "boot_rejected", "the CSMS rejected this charger")
        self._outbox.look_again()
        return None if self.registration == "Accepted" else interval_s or DEFAULT_BOOT_RETRY_S

    def boot_again(self) -> None:
        """A BootNotification on the CSMS's wish; while it is pending, the next one comes at once."""
        if self.registration == "Accepted":
            self.send(
                "BootNotification",
                self.boot_payload() | self.triggered_boot(),
                self._take_boot,
                requested=True,
            )
        else:
            self._boot_now.set()

    def triggered_boot(self) -> Payload:
        """What is different in a BootNotification that was asked for."""
        return {}

    def _take_boot(self, answer: Payload | CallFailed) -> None:
        if not isinstance(answer, CallFailed):
            self._set_clock(answer)
            if answer["status"] == "Accepted" and answer["interval"] > 0:
                self.options.set("heartbeat_s", answer["interval"])
                self.restart_heartbeat()

    def _set_clock(self, answer: Payload) -> None:
        try:
            jump_s = self.clock.set(answer["currentTime"])
            if abs(jump_s) > 0.5:
                self.station.follow_clock()
        except ValueError:
            self.log.remark("warning", f"the CSMS's clock cannot be read: {answer['currentTime'][:50]!r}")

    # Sending

    def send(
        self,
        action: str,
        payload: Payload,
        then: Then = ignore,
        *,
        requested: bool = False,
    ) -> None:
        """Queues a call that is forgotten when the connection is away."""
        if self.online:
            self._outbox.put(Message(action, payload, then, requested))

    def send_durable(
        self, action: str, payload: Payload, transaction_id: str | None = None, *, spare: bool = False
    ) -> None:
        """Queues a call that waits for the connection, and survives a restart."""
        self._outbox.put(Message(action, payload, durable=True, spare=spare, transaction_id=transaction_id))
        self.keep_state()

    def has_news_of(self, transaction_id: str | None) -> bool:
        return self._outbox.about(transaction_id)

    def _may_leave(self, message: Message) -> bool:
        if self.registration == "Pending":
            return message.requested
        if message.durable and time.monotonic() < self._durable_paused_until_s:
            return False
        return self.registration == "Accepted" and not (
            self._reboot_wanted.is_set() and not self._reboot_is_gentle
        )

    async def _deliver(self, session: Session) -> None:
        while True:
            message = await self._outbox.next(self._may_leave)
            payload = self.complete(message)
            self._save_before_telling()
            answer: Payload | CallFailed
            try:
                message.attempts += 1
                answer = await session.call(message.action, payload) if payload is not None else {}
            except CallFailed as failure:
                self.log.remark("warning", f"{message.action} failed: {failure}")
                answer = failure
            except SchemaViolation as violation:
                self.log.remark("error", f"{message.action} was not sent: {violation}")
                answer = CallFailed(CallFailed.UNSENT, str(violation))
            if message.durable:
                self._settle_durable(message, answer)
            else:
                self._outbox.remove(message)
                message.then(answer)

    def _settle_durable(self, message: Message, answer: Payload | CallFailed) -> None:
        """A refused message is tried again, later each time, and at last given up (OCPP 1.6 part 1, 3.7.1)."""
        retriable = isinstance(answer, CallFailed) and answer.code != CallFailed.UNSENT
        if retriable and message.attempts < self.options.number("transaction_attempts"):
            pause_s = self.options.number("transaction_retry_s") * message.attempts
            self._durable_paused_until_s = time.monotonic() + pause_s
            asyncio.get_running_loop().call_later(pause_s, self._outbox.look_again)
            return
        if isinstance(answer, CallFailed):
            self.log.remark("error", f"{message.action} was given up after {message.attempts} attempts")
        self._outbox.remove(message)
        self.take_durable_answer(message, answer)
        self.keep_state()

    # Statuses

    def report_statuses(self, *, only_changes: bool) -> None:
        for number in self.reporting_numbers():
            if not only_changes or self._known.get(number) != self.status_of(number):
                self.report_status(number)

    def report_status(self, connector_number: int, *, requested: bool = False) -> None:
        status = self.status_of(connector_number)

        def remember(answer: Payload | CallFailed) -> None:
            if not isinstance(answer, CallFailed):
                self._known[connector_number] = status

        self._told[connector_number] = status
        self.send(
            "StatusNotification", self.status_payload(connector_number, status), remember, requested=requested
        )

    def tell_status(self, connector: Connector) -> None:
        self.tell_status_of(connector.number)

    def tell_status_of(self, connector_number: int) -> None:
        if self.reachable and self._told.get(connector_number) != self.status_of(connector_number):
            self.report_status(connector_number)

    # Heartbeats

    def restart_heartbeat(self) -> None:
        """The interval may have changed."""
        self._stop_heartbeat()
        interval_s = self.options.number("heartbeat_s")
        if self.reachable and interval_s > 0:
            self._heartbeat = asyncio.get_running_loop().call_later(interval_s, self._heartbeat_is_due)

    def _stop_heartbeat(self) -> None:
        if self._heartbeat:
            self._heartbeat.cancel()

    def _heartbeat_is_due(self) -> None:
        if not self._outbox.has("Heartbeat"):
            self.send_heartbeat()
        self.restart_heartbeat()

    def send_heartbeat(self, *, requested: bool = False) -> None:
        def take(answer: Payload | CallFailed) -> None:
            if not isinstance(answer, CallFailed):
                self._set_clock(answer)

        self.send("Heartbeat", {}, take, requested=requested)

    # Changes of the options that something running depends on

    def apply_option(self, name: str) -> None:
        match name:
            case "heartbeat_s":
                self.restart_heartbeat()
            case "sample_s":
                for connector in self.station.connectors:
                    self.station.restart_sampling(connector)
            case "aligned_s":
                self.station.restart_clock_aligned()
            case "password":
                self.log.hide(self.options.text("password"))
        self.keep_state()

    @property
    def password(self) -> str | None:
        """What the CSMS set last, else what the environment says."""
        return self.options.text("password") or self.settings.password

    # Rebooting

    def reboot(self, reason: str, *, gentle: bool = True) -> None:
        """Ends the session and boots again; a gentle one first delivers what is queued."""
        self.boot_reason = reason
        self._reboot_is_gentle = gentle
        self._reboot_wanted.set()

    def reboot_when_idle(self) -> bool:
        """False when it has to wait for a transaction to end."""
        self._reset_when_idle = True
        return self._reboot_if_idle()

    def _reboot_if_idle(self) -> bool:
        if self._reset_when_idle and not self.is_busy():
            self._reset_when_idle = False
            self.reboot("ScheduledReset")
            return True
        return False

    @property
    def wants_reboot(self) -> bool:
        return self._reboot_wanted.is_set()

    def is_busy(self) -> bool:
        return any(True for _ in self.station.transactions())

    async def _watch_for_reboot(self) -> None:
        await self._reboot_wanted.wait()
        if self._reboot_is_gentle:
            await self.wait_for_delivery(GENTLE_S)
        else:
            await asyncio.sleep(ANSWER_S)
        raise Rebooting

    async def wait_for_delivery(self, limit_s: float) -> None:
        """Until the CSMS knows everything that it must, or for as long."""
        deadline_s = time.monotonic() + limit_s
        while self.reachable and any(True for _ in self._outbox.durable()) and time.monotonic() < deadline_s:
            await asyncio.sleep(0.02)

    # Power-on, power-off, memory

    def power_on(self) -> None:
        self.registration = "Unknown"
        self._reboot_wanted.clear()
        self._told.clear()
        self._known.clear()
        self.station.begin_day()

    def power_off(self) -> None:
        self.station.end_day()
        self.maintenance.stop()
        self._save_now(clean=True)

    def end_transactions(self, reason: str, trigger: str = "ResetCommand") -> None:
        for connector, _ in list(self.station.transactions()):
            self.station.end_transaction(connector, trigger, reason)

    @property
    def remembers(self) -> bool:
        """Whether transactions survive the end of the process."""
        return self.settings.state_file is not None

    def keep_state(self) -> None:
        self._reboot_if_idle()
        if self.remembers and self._save is None:
            # Once for everything that happens now.
            self._save = asyncio.get_running_loop().call_soon(self._save_now)

    def _save_before_telling(self) -> None:
        """What the CSMS is told must not be news to the charger's next process."""
        if self._save is not None:
            self._save.cancel()
            self._save_now()

    def _save_now(self, *, clean: bool = False) -> None:
        self._save = None
        if self.settings.state_file is None:
            return
        try:
            memory.save_state(Path(self.settings.state_file), self.describe() | {"clean": clean})
        except OSError as error:
            self.log.remark("error", f"the state file cannot be written: {error}")

    def describe(self) -> memory.State:
        return {
            "format": memory.FORMAT,
            "identity": self.settings.identity,
            "saved_at": self.clock.now(),
            "options": self.options.changes,
            "firmware_version": self.maintenance.firmware_version,
            "update": asdict(self.maintenance.update) if self.maintenance.update else None,
            "outbox": self._outbox.describe(),
            **memory.describe_authorizer(self.authorizer),
            **memory.describe_station(self.station),
        }

    def recall(self, state: memory.State) -> None:
        """What `describe` told, in an earlier process. Raises an error that `restore` expects."""
        memory.restore_authorizer(self.authorizer, state)
        memory.restore_station(self.station, state)
        self._outbox.restore(state["outbox"])
        self.options.restore(state["options"])
        self.maintenance.firmware_version = state["firmware_version"]
        update = state["update"]
        if update and update["reboots"]:
            self.maintenance.update = Update(**update)
            self.boot_reason = "FirmwareUpdate"
        self.station.end_lost_transactions("Reboot" if state["clean"] else "PowerLoss", state["saved_at"])

    def restore(self) -> None:
        """From the state file, if there is one that can be used."""
        if self.settings.state_file is None:
            return
        try:
            state = memory.load_state(Path(self.settings.state_file), self.settings.identity)
            if state is not None:
                self.recall(state)
        except (OSError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            self.log.remark("warning", f"the state file is not used: {error}")

    def _facts(self, settings: Settings) -> dict[str, str]:
        """The options that follow from the settings and the version."""
        profile = 0 if settings.password is None else 2 if settings.ws_url.startswith("wss:") else 1
        return {
            "connectors": str(settings.connectors),
            "security_profile": str(profile),
            **self.version_defaults,
        }
