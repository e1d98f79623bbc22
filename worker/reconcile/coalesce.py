"""Coalesce hints: one charger is processed by one thread of this process at a time.

The model is the queue of Kubernetes' client-go (util/workqueue): a hint about a charger that is being processed marks it
dirty, and the thread that processes it goes round once more. So a hint costs no second thread, and none is lost.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

OVERTAKEN_AFTER_S = 2.0  # a call that takes longer hangs, and a newer command does not wait for its time-out
MAX_THREADS_PER_CHARGER = 2  # the one whose call hangs, and the one that overtook it


@dataclass(slots=True, eq=False)
class _Round:
    """One thread's call of `converge` for a charger."""

    began_at: float
    dirty: bool = False  #: a hint came since it began: converge must run once more


class CoalescingQueue:
    """One per process, safe to share between threads."""

    def __init__(self, *, overtaken_after_s: float = OVERTAKEN_AFTER_S) -> None:
        self._overtaken_after_s = overtaken_after_s
        self._lock = threading.Lock()
        self._processing: dict[str, list[_Round]] = {}  #: by charger id

    def process(self, charger_id: str, converge: Callable[[], None]) -> None:
        """Run `converge` for the charger, in this thread or in the one that is already processing it.

        Either way one run begins after this call. What `converge` raises passes, and ends the processing; a hint
        that came during that run is then left to the sweep.
        """
        current = self._begin(charger_id)
        while current is not None:
            try:
                converge()
            except BaseException:
                self._end(charger_id, current)
                raise
            current = self._next_round(charger_id, current)

    def _begin(self, charger_id: str) -> _Round | None:
        """None when the charger was marked dirty instead: another thread goes round again."""
        now = monotonic()
        with self._lock:
            rounds = self._processing.setdefault(charger_id, [])
            if rounds and (
                now - rounds[-1].began_at < self._overtaken_after_s or len(rounds) >= MAX_THREADS_PER_CHARGER
            ):
                rounds[-1].dirty = True
                return None
            rounds.append(_Round(now))
            return rounds[-1]

    def _next_round(self, charger_id: str, current: _Round) -> _Round | None:
        """None when no hint came meanwhile, and the processing has ended."""
        with self._lock:
            if current.dirty:
                current.began_at, current.dirty = monotonic(), False
                return current
            self._remove(charger_id, current)
            return None

    def _end(self, charger_id: str, current: _Round) -> None:
        with self._lock:
            self._remove(charger_id, current)

    def _remove(self, charger_id: str, current: _Round) -> None:
        """The lock is held."""
        rounds = self._processing[charger_id]
        rounds.remove(current)
        if not rounds:
            del self._processing[charger_id]
