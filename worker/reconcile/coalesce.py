"""Who is being converged in this process, so that one charger does not take all of its threads.

A hint about a charger that is under way makes that one go round again: it reads the row, as another thread would.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

OVERTAKEN_AFTER_S = 2.0  # a call that takes longer hangs, and a newer wish does not wait for its time-out
MOST = 2  # at once for one charger


@dataclass(slots=True, eq=False)
class _Flight:
    began_at: float
    again: bool = False  #: somebody hinted at the charger meanwhile


class Flights:
    """One per process, safe to share between threads."""

    def __init__(self, *, overtaken_after_s: float = OVERTAKEN_AFTER_S) -> None:
        self._overtaken_after_s = overtaken_after_s
        self._lock = threading.Lock()
        self._of: dict[str, list[_Flight]] = {}

    def run(self, charger_id: str, converge: Callable[[], None]) -> None:
        """Call converge, here or by whoever is at it already: once more, after this call began.

        What converge raises ends the flight; a hint that came meanwhile is then left to the sweep.
        """
        flight = self._begin(charger_id)
        while flight is not None:
            try:
                converge()
            except BaseException:
                self._end(charger_id, flight)
                raise
            flight = self._next_round(charger_id, flight)

    def _begin(self, charger_id: str) -> _Flight | None:
        """None when another thread was told to go round again."""
        now = monotonic()
        with self._lock:
            flights = self._of.setdefault(charger_id, [])
            if flights and (now - flights[-1].began_at < self._overtaken_after_s or len(flights) >= MOST):
                flights[-1].again = True
                return None
            flights.append(_Flight(now))
            return flights[-1]

    def _next_round(self, charger_id: str, flight: _Flight) -> _Flight | None:
        """None when nobody hinted at the charger meanwhile, and the flight is over."""
        with self._lock:
            if flight.again:
                flight.began_at, flight.again = monotonic(), False
                return flight
            self._remove(charger_id, flight)
            return None

    def _end(self, charger_id: str, flight: _Flight) -> None:
        with self._lock:
            self._remove(charger_id, flight)

    def _remove(self, charger_id: str, flight: _Flight) -> None:
        """The lock is held."""
        flights = self._of[charger_id]
        flights.remove(flight)
        if not flights:
            del self._of[charger_id]
