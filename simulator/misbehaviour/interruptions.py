"""The link or the power of a charger is off on purpose, for a time."""

import asyncio
from typing import Any, Protocol

from simulator.link.session import Session
from simulator.log import EventLog


class Victim(Protocol):
    """The charge point, as the interruptions use it."""

    def lose_power(self) -> None:
        """Stops all without a last word."""

    def regain_power(self) -> None: ...

    def connect_now(self) -> None:
        """Ends the wait before the next attempt to connect."""


class _Interruption:
    def __init__(self, seconds: float, *, of_power: bool) -> None:
        self.seconds = seconds
        self.of_power = of_power
        self.over = asyncio.Event()
        self._end = asyncio.get_running_loop().call_later(seconds, self.over.set)

    @property
    def kind(self) -> str:
        return "power_cut" if self.of_power else "drop_link"

    def end(self) -> None:
        self._end.cancel()
        self.over.set()


class Interruptions:
    """At most one at a time. A cut of the power is stronger than a dropped link."""

    def __init__(self, victim: Victim, log: EventLog) -> None:
        self._victim = victim
        self._log = log
        self._current: _Interruption | None = None
        self._session: Session | None = None

    def drop_link(self, seconds: float) -> str | None:
        """None, or why it cannot be: the power is off. A repeat counts from now."""
        if self._current and self._current.of_power:
            return "the power is off"
        self._begin(_Interruption(seconds, of_power=False))
        self._log.remark("info", f"on purpose: the link is dropped for {seconds:g} s")
        return None

    def cut_power(self, seconds: float) -> str | None:
        """None, or why it cannot be: the power is off."""
        if self._current and self._current.of_power:
            return "the power is off"
        self._log.remark("info", f"on purpose: the power is cut for {seconds:g} s")
        self._victim.lose_power()
        self._begin(_Interruption(seconds, of_power=True))
        return None

    def _begin(self, interruption: _Interruption) -> None:
        self.end()
        self._current = interruption
        if self._session:
            self._session.abort()
        self._victim.connect_now()

    def end(self, kind: str | None = None) -> None:
        """Brings link and power back now, or that which is of this kind."""
        if self._current is not None and kind in (None, self._current.kind):
            self._current.end()

    async def wait_until_allowed(self) -> None:
        """Returns when neither link nor power is off, or at once."""
        while self._current is not None:
            interruption = self._current
            await interruption.over.wait()
            if interruption is self._current:
                self._finish(interruption)

    def _finish(self, interruption: _Interruption) -> None:
        self._current = None
        if interruption.of_power:
            self._log.remark("info", "the power is back")
            self._victim.regain_power()

    def begin_session(self, session: Session) -> None:
        self._session = session
        if self._current:  # since the link was being opened
            session.abort()

    def end_session(self) -> None:
        self._session = None

    def explain(self) -> tuple[str, str] | None:
        """The reason and the detail for the log while link or power is off."""
        if self._current is None:
            return None
        seconds = self._current.seconds
        if self._current.of_power:
            why = ("power_cut", f"the power is cut for {seconds:g} s on purpose")
        else:
            why = ("dropped_on_purpose", f"the link is dropped for {seconds:g} s on purpose")
        return why

    def describe(self) -> list[dict[str, Any]]:
        if self._current is None:
            return []
        return [{"kind": self._current.kind, "seconds": self._current.seconds, "fired": 1}]
