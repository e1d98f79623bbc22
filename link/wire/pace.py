"""Limits how fast one session may send."""

import asyncio
from time import monotonic


class Pace:
    """A token bucket. Costs more than it holds are allowed, and paid by a longer wait of the next caller."""

    def __init__(self, per_s: float, at_once: float) -> None:
        self.per_s = per_s
        self._at_once = at_once
        self._left = at_once
        self._at = monotonic()

    async def wait(self, cost: float = 1.0) -> None:
        """Return at once while the bucket holds something, else when it has been filled up again. Then pay."""
        now = monotonic()
        self._left = min(self._at_once, self._left + (now - self._at) * self.per_s)
        self._at = now
        if self._left < 0:
            await asyncio.sleep(-self._left / self.per_s)
        self._left -= cost
