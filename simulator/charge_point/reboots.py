"""When a charger reboots: at once, after what is queued was delivered, or when no transaction runs any more."""

from collections.abc import Callable
from typing import Never

from simulator.charge_point.delivery import Delivery
from simulator.flag import Flag
from simulator.link.session import Ending, Session
from simulator.station.station import Station

#: Seconds that a gentle reboot gives the CSMS to take the messages about ended transactions.
GENTLE_S = 10.0


class Rebooting(Ending):
    """Ends the session: the charger reboots."""


class Reboots:
    def __init__(self, station: Station, delivery: Delivery, on_begin: Callable[[], None]) -> None:
        self.reason = "PowerUp"  #: of the next boot, or of the last
        self._on_begin = on_begin
        self._station = station
        self._delivery = delivery
        self._wanted = Flag()
        self._is_gentle = False
        self._waits_until_idle = False

    def begin(self, reason: str, *, gentle: bool = True) -> None:
        """Ends the session and boots again; a gentle reboot delivers first what is queued.

        Until then nothing new starts.
        """
        self.reason = reason
        self._waits_until_idle = False
        self._station.close()
        self._is_gentle = gentle
        self._wanted.set()
        self._on_begin()

    def begin_when_idle(self) -> bool:
        """False when the reboot waits for the end of a transaction; meanwhile no other begins."""
        self._waits_until_idle = True
        if self.begin_if_due():
            return True
        self._station.availability.await_reset()
        return False

    def begin_if_due(self) -> bool:
        """Begins the reboot that waits until the charger is idle, if it is idle now."""
        if self._waits_until_idle and not self._station.is_busy:
            self.begin("ScheduledReset")
            return True
        return False

    @property
    def is_wanted(self) -> bool:
        return self._wanted.is_set()

    @property
    def holds_messages(self) -> bool:
        """Before a hard reboot, nothing is sent any more."""
        return self.is_wanted and not self._is_gentle

    async def watch(self, session: Session) -> Never:
        """Raises Rebooting when it is time.

        A message that the CSMS is about to answer is not cut off: it might wait for it, and refuse the next boot.
        """
        await self._wanted.wait()
        if self._is_gentle:
            await self._delivery.wait_until_done(GENTLE_S)
        await session.settle()
        raise Rebooting

    def cancel(self) -> None:
        """No reboot is wanted any more, at once or later."""
        self._waits_until_idle = False
        self._wanted.clear()

    def power_on(self) -> None:
        """The charger boots now: nothing is wanted any more."""
        self._wanted.clear()
