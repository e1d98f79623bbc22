"""How fast a charger takes what is sent to it."""

import time
from collections.abc import Callable


class Pace:
    """A token bucket: `at_once` without a wait, then `per_s` each second."""

    def __init__(self, at_once: int, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at_once = at_once
        self._per_s = per_s
        self._left = float(at_once)
        self._taken_at_s = self._clock()

    def take(self, count: int = 1) -> float:
        """Counts so many more, and returns the seconds to wait before the next."""
        now_s = self._clock()
        refilled = self._left + (now_s - self._taken_at_s) * self._per_s
        self._left = min(refilled, self._at_once) - count
        self._taken_at_s = now_s
        return max(-self._left / self._per_s, 0.0)
