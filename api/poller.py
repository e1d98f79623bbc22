"""Calls a function repeatedly in a thread, for as long as it is wanted."""

import threading
from collections.abc import Callable
from time import monotonic

import structlog

from shared.database.engine import contention, is_unavailable

log = structlog.get_logger(__name__)

PAUSE_AFTER_FAILURE_S = 1.0


class Poller:
    """The thread starts when polling is wanted, so a fork before that is safe, and ends when it is no longer wanted.

    No error ends it: it logs one line when polls begin to fail and one when they succeed again.
    """

    def __init__(
        self, name: str, poll: Callable[[], None], *, wanted: Callable[[], bool], every_s: float
    ) -> None:
        self._name = name
        self._poll = poll
        self._wanted = wanted
        self._every_s = every_s
        self._lock = threading.Lock()
        self._running = False
        self._closing = threading.Event()
        self._failing_since: float | None = None

    def ensure_running(self) -> None:
        """Start the thread if it does not run; to be called when `wanted` became true. Never raises: the next call tries again."""
        with self._lock:
            if self._running or self._closing.is_set():
                return
            try:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
            except RuntimeError as error:  # no more threads for now
                log.warning("poller.not_started", poller=self._name, error=str(error))
                return
            self._running = True

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    def pause(self, seconds: float) -> bool:
        """Return after so many seconds, or True as soon as it is closed."""
        return self._closing.wait(seconds)

    def close(self) -> None:
        """End the thread after the current poll. Safe to repeat."""
        self._closing.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closing.is_set() or not self._wanted():
                    self._running = False
                    return
            try:
                self._poll()
            except Exception as error:
                self._failed(error)
                self._closing.wait(max(self._every_s, PAUSE_AFTER_FAILURE_S))
            else:
                self._worked()
                self._closing.wait(self._every_s)

    def _failed(self, error: Exception) -> None:
        if self._failing_since is not None:
            return
        self._failing_since = monotonic()
        expected = is_unavailable(error) or contention(error) is not None
        first_line = f"{type(error).__name__}: {error}".partition("\n")[0]
        log.warning("poller.failing", poller=self._name, error=first_line, exc_info=not expected)

    def _worked(self) -> None:
        if self._failing_since is not None:
            log.info(
                "poller.works_again", poller=self._name, after_s=round(monotonic() - self._failing_since, 1)
            )
            self._failing_since = None
