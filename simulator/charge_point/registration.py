"""Registers the charger with its CSMS: BootNotification until it is accepted, then Heartbeat."""

import asyncio
import time
from contextlib import suppress
from typing import Literal, Protocol

from simulator.clock import Clock
from simulator.configuration import Options
from simulator.flag import Flag
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, OnAnswer, Outbox
from simulator.link.session import CallFailed, Session
from simulator.log import EventLog
from simulator.station.timers import Timers

Status = Literal["Unknown", "Accepted", "Pending", "Rejected"]

#: Seconds before another BootNotification when the CSMS sends no interval, or no answer.
DEFAULT_BOOT_RETRY_S = 30

#: The longest wait for another BootNotification, whatever interval the CSMS sends: a slip must not cost a charger.
MAX_BOOT_RETRY_S = 86_400

#: The longest HeartbeatInterval that a CSMS can set.
MAX_HEARTBEAT_S = 31_536_000

#: Seconds by which the clock must be wrong before timers for a time of day are set again.
CLOCK_TOLERANCE_S = 0.5


class Registrant(Protocol):
    """The charge point, as its registration uses it."""

    @property
    def reachable(self) -> bool: ...

    def boot_payload(self) -> Payload: ...

    def triggered_boot(self) -> Payload: ...

    def send(
        self, action: str, payload: Payload, on_answer: OnAnswer = ..., *, requested: bool = ...
    ) -> None: ...

    def follow_clock(self, jump_s: float) -> None: ...


class Registration:
    """Sends BootNotification and Heartbeat, and keeps the status that the CSMS answered."""

    def __init__(
        self,
        registrant: Registrant,
        *,
        options: Options,
        clock: Clock,
        timers: Timers,
        log: EventLog,
        outbox: Outbox,
    ) -> None:
        self.status: Status = "Unknown"
        self._registrant = registrant
        self._options = options
        self._clock = clock
        self._timers = timers
        self._heartbeat_s = 0  #: the interval that runs
        self._log = log
        self._outbox = outbox
        self._boot_now = Flag()
        self._not_accepted = Flag()
        self._next_boot_s = 0.0  # by time.monotonic

    def start_over(self) -> None:
        """The next connection begins with a BootNotification, without a wait."""
        self.status = "Unknown"
        self._next_boot_s = 0.0

    @property
    def is_accepted(self) -> bool:
        return self.status == "Accepted"

    async def register(self, session: Session) -> bool:
        """Returns once the CSMS accepts: True after a boot, False when an earlier one still counts.

        The CSMS's interval counts over a reconnect, too (OCPP 1.6 part 1, 4.2; 2.0.1, B02.FR.04, B03.FR.05).
        """
        self._not_accepted.clear()
        booted = False
        next_s = self._next_boot_s
        while not self.is_accepted:
            with suppress(TimeoutError):
                async with asyncio.timeout(max(next_s - time.monotonic(), 0)):
                    await self._boot_now.wait()
            answered = await self._boot(session)
            next_s = self._next_boot_s if answered else time.monotonic() + DEFAULT_BOOT_RETRY_S
            booted = True
        self._boot_now.clear()  # the CSMS may have triggered the one that it has accepted
        return booted

    async def wait_until_not_accepted(self) -> None:
        """Returns when the CSMS has answered a BootNotification that it triggered with Pending or Rejected."""
        await self._not_accepted.wait()

    async def _boot(self, session: Session) -> bool:
        """False without an answer that can be used."""
        payload = self._registrant.boot_payload()
        if self._boot_now.is_set():
            payload |= self._registrant.triggered_boot()
        self._boot_now.clear()
        try:
            answer = await session.call("BootNotification", payload)
        except CallFailed as failure:
            self._report_failure(failure)
            return False
        self._take_answer(answer)
        return True

    def _report_failure(self, failure: CallFailed) -> None:
        self._log.remark("warning", f"BootNotification failed: {failure}")
        match failure.code:
            case CallFailed.TIMEOUT:
                self._log.connection("connected", "boot_unanswered", "the CSMS did not answer the boot")
            case CallFailed.BAD_ANSWER:
                detail = f"the CSMS's answer to the boot cannot be used: {failure.description}"
                self._log.connection("connected", "boot_answer_unusable", detail)
            case _:
                detail = f"the CSMS answered the boot with an error: {failure}"
                self._log.connection("connected", "boot_refused", detail)

    def _take_answer(self, answer: Payload) -> None:
        self._set_clock(answer)
        self.status = answer["status"]
        match self.status:
            case "Accepted":
                self._log.connection("accepted", None, "the CSMS accepted the boot")
                if answer["interval"] > 0:
                    self._options.set("heartbeat_s", self._bounded(answer["interval"], MAX_HEARTBEAT_S))
            case "Pending":
                self._log.connection(
                    "connected", "boot_pending", "the CSMS has not decided about this charger yet"
                )
            case _:
                self._log.connection("rejected", "boot_rejected", "the CSMS rejected this charger")
        if self.status != "Accepted":
            wait_s = answer["interval"] if answer["interval"] > 0 else DEFAULT_BOOT_RETRY_S
            self._next_boot_s = time.monotonic() + self._bounded(wait_s, MAX_BOOT_RETRY_S)
        self._outbox.wake()

    def _bounded(self, interval_s: int, longest_s: int) -> int:
        if interval_s > longest_s:
            self._log.remark("warning", f"the CSMS's interval is longer than {longest_s} s, which are used")
        return min(interval_s, longest_s)

    def boot_again(self) -> None:
        """Sends the BootNotification that the CSMS triggered; before it has accepted, without the usual wait."""
        if self.status == "Accepted":
            payload = self._registrant.boot_payload() | self._registrant.triggered_boot()
            self._registrant.send("BootNotification", payload, self.take_boot, requested=True)
        else:
            self._boot_now.set()

    def take_boot(self, answer: Answer) -> None:
        """The answer to a BootNotification that an accepted charger sent."""
        if isinstance(answer, CallFailed):
            return
        self._take_answer(answer)
        if self.status == "Accepted":
            self.restart_heartbeat()
        else:
            self.stop_heartbeat()
            self._outbox.drop_volatile()
            self._not_accepted.set()

    def _set_clock(self, answer: Payload) -> None:
        try:
            jump_s = self._clock.set(answer["currentTime"])
        except ValueError:
            self._log.remark("warning", f"the CSMS's clock cannot be read: {answer['currentTime'][:50]!r}")
            return
        if abs(jump_s) > CLOCK_TOLERANCE_S:
            self._registrant.follow_clock(jump_s)

    def restart_heartbeat(self) -> None:
        """Starts the interval again, after a connection or a heartbeat."""
        self.stop_heartbeat()
        self._heartbeat_s = self._options.number("heartbeat_s")
        if self._registrant.reachable and self._heartbeat_s > 0:
            self._timers.start(None, "heartbeat", self._heartbeat_s, self._heartbeat_is_due)

    def change_heartbeat(self) -> None:
        """After the option was set: starts the interval again, unless it is what it was."""
        if self._options.number("heartbeat_s") != self._heartbeat_s:
            self.restart_heartbeat()

    def stop_heartbeat(self) -> None:
        self._timers.cancel(None, "heartbeat")

    def send_heartbeat(self, *, requested: bool = False) -> None:
        self._registrant.send("Heartbeat", {}, self._take_heartbeat, requested=requested)

    def _take_heartbeat(self, answer: Answer) -> None:
        if not isinstance(answer, CallFailed):
            self._set_clock(answer)

    def _heartbeat_is_due(self) -> None:
        if not self._outbox.has_action("Heartbeat"):
            self.send_heartbeat()
        self.restart_heartbeat()
