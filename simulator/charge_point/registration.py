"""Registers the charger with its CSMS: BootNotification until it is accepted, then Heartbeat."""

import asyncio
from contextlib import suppress
from typing import Literal, Protocol

from simulator.clock import Clock
from simulator.configuration import Options
from simulator.link.frames import Payload
from simulator.link.outbox import Answer, OnAnswer, Outbox
from simulator.link.session import CallFailed, Session
from simulator.log import EventLog
from simulator.station.timers import Timers

Status = Literal["Unknown", "Accepted", "Pending", "Rejected"]

#: Seconds before another BootNotification when the CSMS sends no interval, or no answer.
DEFAULT_BOOT_RETRY_S = 30.0

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

    def follow_clock(self) -> None: ...


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
        self._log = log
        self._outbox = outbox
        self._boot_now = asyncio.Event()

    async def register(self, session: Session) -> bool:
        """Returns once the CSMS accepts: True after a boot, False when an earlier one still counts."""
        if self.status == "Accepted":
            return False
        while (retry_s := await self._boot(session)) is not None:
            self._boot_now.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(retry_s):
                    await self._boot_now.wait()
        return True

    async def _boot(self, session: Session) -> float | None:
        """Seconds until the next attempt; None once the CSMS has accepted."""
        try:
            answer = await session.call("BootNotification", self._registrant.boot_payload())
        except CallFailed as failure:
            self._log.remark("warning", f"BootNotification failed: {failure}")
            return DEFAULT_BOOT_RETRY_S
        self._set_clock(answer)
        self.status = answer["status"]
        interval_s = max(answer["interval"], 0)
        match self.status:
            case "Accepted":
                if interval_s:
                    self._options.set("heartbeat_s", interval_s)
                self._log.connection("accepted", None, "the CSMS accepted the boot")
            case "Pending":
                self._log.connection(
                    "connected", "boot_pending", "the CSMS has not decided about this charger yet"
                )
            case _:
                self._log.connection("rejected", "boot_rejected", "the CSMS rejected this charger")
        self._outbox.wake()
        return None if self.status == "Accepted" else interval_s or DEFAULT_BOOT_RETRY_S

    def boot_again(self) -> None:
        """Sends the BootNotification that the CSMS triggered; before it has accepted, without the usual wait."""
        if self.status == "Accepted":
            payload = self._registrant.boot_payload() | self._registrant.triggered_boot()
            self._registrant.send("BootNotification", payload, self._take_boot, requested=True)
        else:
            self._boot_now.set()

    def _take_boot(self, answer: Answer) -> None:
        if not isinstance(answer, CallFailed):
            self._set_clock(answer)
            if answer["status"] == "Accepted" and answer["interval"] > 0:
                self._options.set("heartbeat_s", answer["interval"])
                self.restart_heartbeat()

    def _set_clock(self, answer: Payload) -> None:
        try:
            jump_s = self._clock.set(answer["currentTime"])
        except ValueError:
            self._log.remark("warning", f"the CSMS's clock cannot be read: {answer['currentTime'][:50]!r}")
            return
        if abs(jump_s) > CLOCK_TOLERANCE_S:
            self._registrant.follow_clock()

    def restart_heartbeat(self) -> None:
        """Starts the interval again, after a connection or a change of the option."""
        self.stop_heartbeat()
        interval_s = self._options.number("heartbeat_s")
        if self._registrant.reachable and interval_s > 0:
            self._timers.start(None, "heartbeat", interval_s, self._heartbeat_is_due)

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
