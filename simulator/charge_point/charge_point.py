"""One charger, whatever the OCPP version: what it does over a connection, at a reboot and across restarts."""

import time
from collections.abc import Callable
from functools import partial
from typing import Never

from ocpp.exceptions import (  # type: ignore[import-untyped]
    InternalError,
    NotSupportedError,
    OCPPError,
    SecurityError,
)

from simulator.actions.actions import Actions
from simulator.actions.data_transfer import DataTransfer
from simulator.charge_point import memory, remembered
from simulator.charge_point.accidents import Accidents
from simulator.charge_point.delivery import Delivery
from simulator.charge_point.facts import base_options, fixed_options
from simulator.charge_point.maintenance.maintenance import Maintenance
from simulator.charge_point.network import Network
from simulator.charge_point.reboots import Reboots
from simulator.charge_point.registration import Registration
from simulator.charge_point.security import SecurityEvents
from simulator.charge_point.statuses import Statuses
from simulator.charge_point.translation import Translation
from simulator.charge_point.upkeep import Upkeep
from simulator.clock import Clock
from simulator.configuration import Option, Options, Status
from simulator.link.frames import Payload
from simulator.link.outbox import Message, OnAnswer, ignore
from simulator.link.session import ENDS, CallFailed, Session
from simulator.log import EventLog
from simulator.misbehaviour.misbehaviour import Misbehaviour
from simulator.scenario.scenarios import Scenarios
from simulator.settings import Settings
from simulator.station.authorization import Authorizer
from simulator.station.model import Connector
from simulator.station.station import Station
from simulator.station.timers import Timers
from simulator.together import run_together
from simulator.turn import TURN, TURN_S, TurnTooLong
from simulator.versions import VERSIONS


class ChargePoint(Translation):
    """The charger without its connection; `lifecycle.py` connects it."""

    def __init__(self, settings: Settings, log: EventLog) -> None:
        """Raises ValueError for a configuration that this charger does not accept."""
        self.version = VERSIONS[settings.ocpp_version]
        self.settings = settings
        self.log = log
        self.clock = Clock()
        self.timers = Timers()
        base = base_options(settings, self.option_defaults)
        self.options = Options(base, settings.configuration, fixed_options(settings))
        self.upkeep = Upkeep(settings, self.options, self.password_options, log)
        self.network = Network(settings, self.options)
        self.authorizer = Authorizer(self.options, self.clock.now, self)
        self.station = Station(
            settings,
            options=self.options,
            clock=self.clock,
            authorizer=self.authorizer,
            reports=self,
            timers=self.timers,
        )
        self.security = SecurityEvents(self.clock, log, self)
        self.maintenance = Maintenance(
            settings,
            clock=self.clock,
            options=self.options,
            timers=self.timers,
            security=self.security,
            station=self.station,
            reports=self,
        )
        self.actions = Actions(self)
        self.scenarios = Scenarios(self)
        self.data_transfer = DataTransfer(self, self.actions)
        self.delivery = Delivery(self.options, log, self.timers, self)
        self.reboots = Reboots(self.station, self.delivery, self._end_wait)
        self.registration = Registration(
            self,
            options=self.options,
            clock=self.clock,
            timers=self.timers,
            log=log,
            outbox=self.delivery.outbox,
        )
        self.memory = memory.Memory(settings, self.describe, self.timers, log)
        self.statuses = Statuses(self)
        #: called when its connectors may have changed; `memory.on_change` when there is more to remember
        self.on_change: Callable[[], object] | None = None
        self.online = False
        self._ends = False
        self._offline_since_s = 0.0
        self.misbehaviour = Misbehaviour(Accidents(self), version=self.version, clock=self.clock, log=log)

    # A connection

    async def talk(self, session: Session) -> None:
        """Registers, then sends and answers. Ends by cancellation, or raises an Ending."""
        self.online = True
        self.misbehaviour.interruptions.begin_session(session)
        if self.settings.boot_on_reconnect:
            self.registration.start_over()
        try:
            await run_together(
                self._register(session),
                self.delivery.run(session),
                self.upkeep.ping(session),
                self.upkeep.watch_settings(session),
                self.reboots.watch(session),
                ends=ENDS,
            )
        finally:
            self.online = False
            self.scenarios.wake()
            self._offline_since_s = time.monotonic()
            self.misbehaviour.end_session()
            self.registration.stop_heartbeat()
            self.delivery.end_session()
            self.statuses.drop_unanswered()

    async def _register(self, session: Session) -> None:
        while True:
            self._begin_work(booted=await self.registration.register(session))
            await self.registration.wait_until_not_accepted()

    def _begin_work(self, *, booted: bool) -> None:
        if self.network.accept():
            used = f"network profile {self.network.profile.slot}, security profile {self.options.text('security_profile')}"
            self.security.report("ReconfigurationOfSecurityParameters", used)
            self.memory.save_soon()
        if not booted:
            self.log.connection(
                "accepted", "still_accepted", "accepted at its last boot; only the link is new"
            )
        self.registration.restart_heartbeat()
        self.scenarios.wake()
        offline_s = time.monotonic() - self._offline_since_s
        threshold_s = self.options.number("offline_threshold_s")
        self.statuses.report_all(only_changes=not booted and offline_s <= threshold_s)
        self.delivery.outbox.wake()

    def answer(self, action: str, payload: Payload) -> Payload:
        """The answer to the CSMS's call. Messages that it causes are queued, so they leave after it.

        What the call has changed is saved before the answer leaves: what was accepted is kept. Raises OCPPError.
        """
        status = self.registration.status
        if status == "Unknown" or (status == "Rejected" and not self.ends_rejection(action, payload)):
            raise SecurityError("this charger has not been accepted")
        handler = self.handlers.get(action)
        if handler is None:
            raise NotSupportedError("this charger does not support this action")
        if handler.when_busy is not None and self.delivery.outbox.is_busy:  # type: ignore[attr-defined]
            return handler.when_busy  # type: ignore[attr-defined,no-any-return]
        try:
            answer = TURN.take(partial(handler, self, payload))
            if not action.startswith(("Get", "Trigger")):  # those save what they change
                self.keep_state()
            self.memory.save_if_due()
        except OCPPError:
            raise
        except TurnTooLong:
            self._end_turn(action)
            raise InternalError("the charger took too long for this request") from None
        except Exception as error:
            self.log.remark("error", f"{action} could not be answered: {error!r}")
            raise InternalError("the charger failed on this request") from error
        return answer

    def _end_turn(self, action: str) -> None:
        """The charger starts again, as after a fault, once the answer has left: what the request changes may be half done.

        A request that only reads changes nothing but, while a transaction runs, its meter.
        """
        self.log.remark("error", f"{action} was not answered: it took more than {TURN_S:g} s of CPU")
        if self.station.is_busy or not action.startswith("Get"):
            self.timers.start(None, "turn", 0, partial(_fail, f"{action} was ended halfway"))

    def end_attempt(self) -> None:
        """After each connection, and each failure to connect. Another CSMS knows nothing of an earlier boot."""
        if self.network.end_attempt():
            self.registration.start_over()

    @property
    def is_silent(self) -> bool:
        return self.silent_while_rejected and self.registration.status == "Rejected"

    @property
    def is_accepted(self) -> bool:
        return self.registration.is_accepted

    @property
    def reachable(self) -> bool:
        return self.online and self.is_accepted

    @property
    def password(self) -> bytes | None:
        return self.upkeep.password

    # Messages to the CSMS

    def send(
        self, action: str, payload: Payload, on_answer: OnAnswer = ignore, *, requested: bool = False
    ) -> None:
        """Queues a call that is dropped when the charger is offline: `on_answer` then gets a CallFailed."""
        if self.online:
            self.delivery.queue(Message(action, payload, on_answer, requested))
        else:
            on_answer(CallFailed(CallFailed.DROPPED, f"{action} was not sent: the charger is offline"))

    def send_durable(
        self,
        action: str,
        payload: Payload,
        transaction_id: str | None = None,
        *,
        droppable: bool = False,
        requested: bool = False,
    ) -> None:
        """Queues a call that waits for a connection, and survives a restart.

        It is sent once more if its connection breaks before the answer; one about a transaction also if the CSMS
        does not take it.
        """
        message = Message(
            action,
            payload,
            requested=requested,
            durable=True,
            droppable=droppable,
            transaction_id=transaction_id,
        )
        self.delivery.queue(message)
        self.keep_state()

    def may_send(self, message: Message) -> bool:
        """While the boot is pending, only what the CSMS triggered; before a hard reboot, nothing.

        Before the process ends, the short time is for what must not get lost.
        """
        if self.registration.status == "Pending":
            return message.requested and not message.durable
        if self._ends and not message.durable:
            return False
        return self.is_accepted and not self.reboots.holds_messages

    def has_queued_messages(self, transaction_id: str | None) -> bool:
        """Whether messages about this transaction wait in the outbox; None: about any."""
        return self.delivery.outbox.has_transaction(transaction_id)

    def send_status(self, connector_number: int, *, requested: bool = False) -> None:
        self.statuses.send(connector_number, requested=requested)

    def report_status(self, connector: Connector) -> None:
        self.report_status_of(connector.number)

    def report_statuses(self) -> None:
        for number in self.reporting_numbers():
            self.report_status_of(number)

    def report_status_of(self, connector_number: int) -> None:
        """Sends the status if it is not the one that was sent last."""
        self.statuses.report(connector_number)
        self.scenarios.wake()
        if self.on_change is not None:
            self.on_change()

    # What follows from a changed option or clock

    def change_option(self, option: Option, text: str) -> Status:
        """Sets an option as a CSMS would, and applies it; the status for the answer."""
        if option.name == "network_priority" and not self.network.has_slots(text):
            return "Rejected"
        status = self.options.change(option, text)
        if status != "Rejected":
            self.apply_option(option.name)
        return status

    def apply_option(self, name: str) -> None:
        match name:
            case "heartbeat_s":
                self.registration.change_heartbeat()
            case "sample_s" | "ended_s":
                self.station.sampling.change_interval(name)
            case "aligned_s" | "aligned_ended_s":
                self.station.sampling.restart_clock_aligned()
            case "password" | "authorization_key":
                self.security.report("ReconfigurationOfSecurityParameters", "the password was changed")
        self.upkeep.apply_option(name)
        self.keep_state()

    def follow_clock(self, jump_s: float) -> None:
        """After the CSMS's time has changed the clock by so many seconds."""
        self.security.report_clock(jump_s)
        self.station.follow_clock()
        self.maintenance.follow_clock()

    # From power-on to power-off

    def reboot(self, reason: str, *, gentle: bool = True) -> None:
        """Ends the session and boots again; a gentle reboot delivers first what is queued."""
        self.reboots.begin(reason, gentle=gentle)

    def _end_wait(self) -> None:
        """An offline charger that reboots does not wait for its next attempt to connect."""
        if not self.online:
            self.upkeep.connect_now()

    @property
    def wants_reboot(self) -> bool:
        return self.reboots.is_wanted

    def end_for_good(self) -> None:
        """Ends transactions, updates and uploads before the process ends; nothing new starts.

        The stop is a local one, and the reason for it is no fault of a driver or a CSMS: OCPP 1.6 and 2.0.1 call it
        Reboot; a ResetCommand would be the CSMS's (2.0.1, TriggerReasonEnum).
        """
        self._ends = True
        self.scenarios.stop()
        self.station.close()
        self.station.transactions.end_all("Reboot", "AbnormalCondition")
        self.maintenance.interrupt(keep_schedule=self.memory.enabled)
        self.delivery.hurry()
        self.upkeep.connect_now()

    def power_on(self) -> None:
        self.registration.start_over()
        self.network.restart()
        self.reboots.power_on()
        self.statuses.clear()
        self.security.report_boot(self.reboots.reason, self.maintenance.firmware_version)
        self.station.power_on()
        if self._ends:
            self.station.close()
        self.maintenance.power_on()

    def power_off(self) -> None:
        self.station.power_off()
        self.memory.save(clean=True)

    # Memory across restarts

    def keep_state(self) -> None:
        """After each change: saves it soon, and begins a reset that has waited for it."""
        self.reboots.begin_if_due()
        self.station.availability.reset_idle()
        self.memory.save_soon()

    def save_before_sending(self) -> None:
        self.memory.save_if_due()

    def describe(self) -> memory.State:
        """The state that the charger remembers in its next process."""
        return remembered.describe(self)

    def recall(self, state: memory.State) -> None:
        """Restores what `describe` returned in an earlier process. Raises one of `memory.UNUSABLE`."""
        remembered.recall(self, state)

    def restore(self, kept: memory.State | None = None) -> bool:
        """Restores the state file, or else what was kept elsewhere. False when it cannot be used: then only parts are."""
        try:
            state = self.memory.load(kept)
            if state is not None:
                self.recall(state)
        except memory.UNUSABLE as error:
            self.log.remark("warning", f"what the charger remembers is not used: {error}")
            return False
        return True


def _fail(why: str) -> Never:
    raise TurnTooLong(why)
