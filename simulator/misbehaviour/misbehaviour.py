"""Arms what a charger shall do wrong on purpose, and does it."""

import asyncio
from contextlib import suppress
from typing import Any, Protocol

from websockets.exceptions import ConnectionClosed

from simulator.clock import Clock
from simulator.link import schemas
from simulator.link.frames import Call
from simulator.link.interference import Put
from simulator.log import EventLog
from simulator.misbehaviour.interruptions import Interruptions
from simulator.misbehaviour.interruptions import Victim as _Victim
from simulator.misbehaviour.switches import Event, Frame, Switch
from simulator.versions import Version

#: Switches that are armed at the same time, and spent ones that are remembered.
MAX_SWITCHES = 20

#: Frames that are held back at the same time; those beyond are sent at once.
MAX_HELD_BACK = 100

#: The longest wait for them before the charger itself ends a session.
MAX_SETTLE_S = 30.0


class Victim(_Victim, Protocol):
    def follow_skew(self) -> None:
        """After the clock was set wrong, or right again."""


class Misbehaviour:
    """An Interference. What is armed survives a reconnect, a Reset and a power cut, and ends with the process."""

    def __init__(self, victim: Victim, *, version: Version, clock: Clock, log: EventLog) -> None:
        self.armed = False  #: whether a session must consult it
        self.interruptions = Interruptions(victim, log)
        self._victim = victim
        self._version = version
        self._clock = clock
        self._log = log
        self._switches: list[Switch] = []
        self._spent: list[Switch] = []
        self._held_back: set[asyncio.Task[None]] = set()

    def arm(self, kind: str, event: Event) -> str | None:
        """Arms one kind with its fields, which are valid by the table of actions. None, or why it cannot be armed."""
        for field in ("action", "after"):
            if field in event and not schemas.is_known_action(self._version, event[field]):
                return f"{self._version.name} has no message {event[field][:50]}"
        match kind:
            case "drop_link" if "after" not in event:
                return self.interruptions.drop_link(event["seconds"])
            case "power_cut":
                return self.interruptions.cut_power(event["seconds"])
            case "clock_skew":
                self._remark(f"the clock is wrong by {event['offset_seconds']:g} s")
                self._skew_clock(event["offset_seconds"])
                return None
            case _:
                return self._add(Switch(kind, event, self._version))

    def _skew_clock(self, seconds: float) -> None:
        self._clock.skew_s = seconds
        self._victim.follow_skew()

    def _add(self, switch: Switch) -> str | None:
        if len(self._switches) >= MAX_SWITCHES:
            return f"{MAX_SWITCHES} are armed: no more can be"
        self._switches.append(switch)
        self.armed = True
        return None

    def describe(self) -> dict[str, Any]:
        """What is armed, with its fields and how often it has happened, and what is spent."""
        armed = self.interruptions.describe() + [switch.describe() for switch in self._switches]
        if self._clock.skew_s:
            armed.append({"kind": "clock_skew", "offset_seconds": self._clock.skew_s, "fired": 1})
        return {"armed": armed, "spent": [switch.describe() for switch in self._spent]}

    def stop(self, kind: str | None = None) -> int:
        """Switches all off, or what is of this kind, and brings back the link, the power and the right time.

        How many were armed.
        """
        stopped = sum(kind in (None, each["kind"]) for each in self.describe()["armed"])
        self._switches = [each for each in self._switches if kind not in (None, each.kind)]
        self._spent = [each for each in self._spent if kind not in (None, each.kind)]
        self.armed = bool(self._switches)
        self.interruptions.end(kind)
        if self._clock.skew_s and kind in (None, "clock_skew"):
            self._skew_clock(0.0)
        if stopped:
            self._remark(f"no {kind} any more" if kind else "nothing any more")
        return stopped

    # The frames of a session

    def replace_answer(self, call: Call) -> str | None:
        for switch in self._switches:
            text = switch.replace_answer(call)
            if text is not None:
                self._remark(f"{switch.kind}, and the charger does not see this {call.action}")
                self._put_away_spent()
                return text
        return None

    async def send(self, action: str, text: str, put: Put) -> None:
        written = Frame(action, text)
        for frame in self._spoil(written):
            if frame.delay_s > 0 and len(self._held_back) < MAX_HELD_BACK:
                self._hold_back(frame, put)
            else:
                await put(action, frame.text)
        drops = [switch.event["seconds"] for switch in self._switches if switch.drops_link(written)]
        self._put_away_spent()
        if drops:
            self.interruptions.drop_link(max(drops))

    def _spoil(self, written: Frame) -> list[Frame]:
        """Each switch takes what the one before it has left."""
        frames = [written]
        for switch in self._switches:
            spoiled = [switch.spoil(frame) for frame in frames]
            if any(each is not None for each in spoiled):
                what = "answer to" if written.is_answer else "call of"
                self._remark(f"{switch.kind}, this {what} {written.action}")
            frames = [
                frame
                for before, after in zip(frames, spoiled, strict=True)
                for frame in ([before] if after is None else after)
            ]
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
            await asyncio.wait(self._held_back, timeout=MAX_SETTLE_S)

    def end_session(self) -> None:
        """What is held back is lost with the link."""
        self.interruptions.end_session()
        for task in self._held_back:
            task.cancel()

    def _put_away_spent(self) -> None:
        spent = [switch for switch in self._switches if switch.is_spent]
        self._spent = (self._spent + spent)[-MAX_SWITCHES:]
        self._switches = [switch for switch in self._switches if not switch.is_spent]
        self.armed = bool(self._switches)

    def _remark(self, what: str) -> None:
        self._log.remark("info", f"on purpose: {what}")
