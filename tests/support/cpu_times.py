"""The CPU time of a process's event loop over time: how long it worked, and how long it waited for a CPU.

So a test of timing can separate the work of the product from that of other processes of the machine.
"""

import asyncio
from bisect import bisect
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from time import monotonic, thread_time
from typing import NamedTuple

SCHEDSTAT = Path("/proc/self/schedstat")  # of the main thread: ns it ran, ns it waited for a CPU, time slices
EVERY_S = 0.05


class Sample(NamedTuple):
    at: float  #: of the monotonic clock, which all processes share
    worked_s: float  #: so far
    waited_s: float  #: so far, ready to run and without a CPU; 0 where the system does not say


class CpuTimes:
    """Samples of the main thread."""

    def __init__(self, samples: Iterable[Iterable[float]] = ()) -> None:
        self.samples = [Sample(*each) for each in samples]

    async def sample(self) -> None:
        """Take a sample every EVERY_S, until cancelled. The loop takes it late while it is held up."""
        while True:
            self.samples.append(Sample(monotonic(), thread_time(), _waited_s()))
            await asyncio.sleep(EVERY_S)

    def longest_turn_s(self) -> float:
        """The most work between two samples: for how long a timer can be held up on a machine with nothing else to do."""
        return max(after.worked_s - before.worked_s for before, after in pairwise(self.samples))

    def waited_s(self, begin: float, end: float) -> float:
        """How long it waited for a CPU between two times."""
        return self._waited_until(end) - self._waited_until(begin)

    def _waited_until(self, at: float) -> float:
        """Between two samples it waited evenly, as far as anybody knows."""
        index = min(max(bisect(self.samples, (at,)), 1), len(self.samples) - 1)
        before, after = self.samples[index - 1 : index + 1]
        part = min(max((at - before.at) / (after.at - before.at), 0), 1)
        return before.waited_s + (after.waited_s - before.waited_s) * part


def _waited_s() -> float:
    try:
        return int(SCHEDSTAT.read_text().split()[1]) / 1e9
    except OSError:
        return 0.0
