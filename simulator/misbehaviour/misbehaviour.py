"""Arms what a charger shall do wrong, and does it."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from simulator.clock import Clock
from simulator.link import schemas
from simulator.link.frames import Call
from simulator.link.interference import Put
from simulator.link.session import Session
from simulator.log import EventLog
from simulator.misbehaviour.interruption import Interruption
from simulator.misbehaviour.switches import REPLACEMENTS, SPOILERS, Event, Frame, Switch
from simulator.versions import Version

#: Switches that are armed at the same time, and spent ones that are remembered.
MAX_SWITCHES = 20

#: Frames that are held back at the same time; those beyond are sent without a delay.
MAX_HELD_BACK = 100

#: What is armed until its time is over or another of its kind replaces it.
DROP_LINK, POWER_CUT, CLOCK_SKEW = "drop_link", "power_cut", "clock_skew"


class Victim(Protocol):
    """The charge point, as its misbehaviour uses it."""

    def lose_power(self) -> None:
        """Stops all without a last word."""

    def regain_power(self) -> None: ...

    def follow_skew(self) -> None:
        """After the clock was set wrong on purpose."""

    def connect_now(self) -> None:
        """Ends the wait before the next attempt."""


class Misbehaviour:
    """Lasts until it is stopped or the process ends: it survives a reconnect and a Reset."""

    def __init__(self, version: Version, log: EventLog, clock: Clock, victim: Victim) -> None:
        self.armed = False  #: whether a session has to consult it
        self.interruption: Interruption | None = None
        self._version = version
        self._log = log
        self._clock = clock
        self._victim = victim
        self._switches: list[Switch] = []
        self._spent: deque[Switch] = deque(maxlen=MAX_SWITCHES)
        self._session: Session | None = None
        self._held_back: set[asyncio.Task[None]] = set()

    # Arming

    def arm(self, kind: str, event: Event) -> str | None:
        """Arms one kind with its fields, which are valid. None, or why it cannot be armed."""
        action = event.get("action") or event.get("after")
        if action is not None and not schemas.is_known_action(self._version, action):
            return f"{self._version.name} has no message {action[:50]}"
        match kind:
            case "drop_link" if "after" not in event:
                return self._drop_link(event["seconds"])
            case "power_cut":
                return self._cut_power(event["seconds"])
            case "clock_skew":
                return self._skew_clock(event["seconds"])
        if len(self._switches) >= MAX_SWITCHES:
            return f"{MAX_SWITCHES} are armed, and no more can be"
        self._switches.append(Switch(kind, event, self._version))
        self._update()
        return None

    def describe(self) -> dict[str, Any]:
        """What is armed with its fields and how often it has happened, and what is spent."""
        held = [{"kind": kind, "fired": 1, "seconds": seconds} for kind, seconds in self._lasting()]
        return {
            "armed": held + [_describe(switch) for switch in self._switches],
            "spent": [_describe(switch) for switch in self._spent],
        }

    def stop(self) -> int:
        """Switches everything off, and brings back the link, the power and the right time. How many were armed."""
        armed = len(self._switches) + len(self._lasting())
        self._switches.clear()
        self._spent.clear()
        if self.interruption is not None:
            self.interruption.end()
        if self._clock.skew_s:
            self._set_skew(0.0)
        self._update()
        return armed

    def _lasting(self) -> list[tuple[str, float]]:
        lasting = []
        if self.interruption is not None:
            kind = POWER_CUT if self.interruption.of_power else DROP_LINK
            lasting.append((kind, self.interruption.seconds))
        if self._clock.skew_s:
            lasting.append((CLOCK_SKEW, self._clock.skew_s))
        return lasting

    def _update(self) -> None:
        for switch in [each for each in self._switches if each.is_spent]:
            self._switches.remove(switch)
            self._spent.append(switch)
        self.armed = bool(self._switches) or self.interruption is not None

    # The link and the power

    def begin_session(self, session: Session) -> None:
        self._session = session
        if self.interruption is not None:  # it began while the link was being opened
            session.abort()

    def end_session(self) -> None:
        self._session = None
        for task in self._held_back:
            task.cancel()

    async def wait_until_allowed(self) -> None:
        """Returns when neither link nor power is off on purpose."""
        while (interruption := self.interruption) is not None:
            await interruption.wait()
            if self.interruption is interruption:
                self._end_interruption(interruption)

    def explain_end(self) -> tuple[str, str] | None:
        """The reason and the detail of an end of the link that was on purpose."""
        if self.interruption is None:
            return None
        if self.interruption.of_power:
            return "power_cut", f"the power is cut for {self.interruption.seconds:g} s on purpose"
        return "dropped_on_purpose", f"the link is dropped for {self.interruption.seconds:g} s on purpose"

    def _drop_link(self, seconds: float) -> str | None:
        if self.interruption is not None and self.interruption.of_power:
            return "the power is cut"
        self._interrupt(seconds, of_power=False)
        self._remark(f"the link is dropped for {seconds:g} s")
        return None

    def _cut_power(self, seconds: float) -> str | None:
        if self.interruption is not None and self.interruption.of_power:
            return "the power is cut already"
        self._interrupt(seconds, of_power=True)
        self._remark(f"the power is cut for {seconds:g} s")
        self._victim.lose_power()
        return None

    def _interrupt(self, seconds: float, *, of_power: bool) -> None:
        if self.interruption is not None:
            self.interruption.end()
        self.interruption = Interruption(seconds, of_power=of_power)
        self._update()
        if self._session is not None:
            self._session.abort()
        self._victim.connect_now()

    def _end_interruption(self, interruption: Interruption) -> None:
        self.interruption = None
        self._update()
        if interruption.of_power:
            self._remark("the power is back")
            self._victim.regain_power()

    # The clock

    def _skew_clock(self, seconds: float) -> str | None:
        self._set_skew(seconds)
        self._remark(f"the clock is {abs(seconds):g} s {'ahead' if seconds > 0 else 'behind'}")
        return None

    def _set_skew(self, seconds: float) -> None:
        self._clock.skew_s = seconds
        self._victim.follow_skew()

    # Frames: an Interference

    def replace_answer(self, call: Call) -> str | None:
        for switch in self._switches:
            text = switch.replace_answer(call)
            if text is not None:
                self._remark(f"{switch.kind}: {call.action} is answered by this, and not by the charger")
                self._update()
                return text
        return None

    async def send(self, action: str, text: str, put: Put) -> None:
        if self.interruption is not None:
            return  # what is queued after the link was dropped
        written = Frame(action, text)
        for frame in self._spoil(written):
            if frame.delay_s > 0 and len(self._held_back) < MAX_HELD_BACK:
                self._hold_back(frame, put)
            else:
                await put(action, frame.text)
        self._drop_link_after(written)

    def _spoil(self, written: Frame) -> list[Frame]:
        """Each switch takes what the one before has left."""
        frames = [written]
        for switch in self._switches:
            spoiled = [switch.spoil(frame) for frame in frames]
            if any(each is not None for each in spoiled):
                what = "answer" if written.is_answer else "call"
                self._remark(f"{switch.kind}: this {what} of {written.action}")
            frames = [
                frame
                for before, after in zip(frames, spoiled, strict=True)
                for frame in ([before] if after is None else after)
            ]
        self._update()
        return frames

    def _hold_back(self, frame: Frame, put: Put) -> None:
        async def send_later() -> None:
            await asyncio.sleep(frame.delay_s)
            with suppress(ConnectionClosed):
                await put(frame.action, frame.text)

        task = asyncio.create_task(send_later())
        self._held_back.add(task)
        task.add_done_callback(self._held_back.discard)

    async def settle(self) -> None:
        if self._held_back:
            await asyncio.wait(self._held_back)

    def _drop_link_after(self, frame: Frame) -> None:
        for switch in self._switches:
            if switch.drops_link(frame):
                self._update()
                self._drop_link(switch.event["seconds"])
                return

    def _remark(self, text: str) -> None:
        self._log.remark("info", f"on purpose: {text}")


def _describe(switch: Switch) -> dict[str, Any]:
    return {"kind": switch.kind, "fired": switch.fired, **switch.event}
