"""Python's garbage collection in a process with the objects of a thousand chargers.

A full collection looks at all of them: 0.1 s of CPU for 1,000 chargers, while the loop stands. What was there after the last
one is frozen, and looked at again only by the next.
"""

import asyncio
import gc
from collections.abc import Callable

#: Full collections by themselves are rare; the interpreter's own thresholds are 700, 10 and 10.
THRESHOLDS = (20_000, 50, 1_000)

#: Starts, ends and attempts to connect that make a wave: each leaves some KiB in cycles of exceptions and frames.
WAVE = 50

#: A wave is over after so long without any more; one that does not end is interrupted.
QUIET_S, LONGEST_S = 2, 60

#: Without a wave.
EVERY_S = 600


class Garbage:
    def __init__(self) -> None:
        self._changes = 0  #: at the last full collection
        self._last_changes = 0  #: a second ago
        self._quiet_s = 0
        self._since_s = 0

    def is_due(self, changes: int) -> bool:
        """Called every second with all starts, ends and attempts to connect so far. Whether it is time for a collection."""
        self._quiet_s = self._quiet_s + 1 if changes == self._last_changes else 0
        self._last_changes = changes
        self._since_s += 1
        is_wave = changes - self._changes >= WAVE and (self._quiet_s >= QUIET_S or self._since_s >= LONGEST_S)
        if not is_wave and self._since_s < EVERY_S:
            return False
        self._changes, self._since_s = changes, 0
        return True


def collect() -> None:
    """All that is not used any more. What stays is frozen."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


async def keep_clean(changes: Callable[[], int]) -> None:
    """Until cancelled."""
    gc.set_threshold(*THRESHOLDS)
    garbage = Garbage()
    while True:
        await asyncio.sleep(1)
        if garbage.is_due(changes()):
            collect()
