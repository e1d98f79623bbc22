"""Notifies the processes of the link, through Redis, that there is something new to send. No request waits for Redis.

A hint has no content, and may be lost: the link also looks by itself, a little later.
"""

import os
import threading
from time import monotonic

import redis
import structlog
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.fleet.control import HINTS

log = structlog.get_logger(__name__)

TIMEOUT_S = 1.0  # for Redis to take a hint
PAUSE_AFTER_FAILURE_S = 1.0  # before Redis is tried again; hints of that time are one
CHANNEL_ERRORS = (redis.RedisError, OSError)


class Hints:
    """One per API process. Its thread starts with the first hint, so a fork before that is safe."""

    def __init__(self, redis_url: str) -> None:
        """Without a URL, gives no hints."""
        self._redis_url = redis_url
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pid: int | None = None
        self._failing_since: float | None = None

    def give(self) -> None:
        """Give a hint soon; several at once are one. Returns at once and never raises. To be called after the commit."""
        if not self._redis_url:
            return
        self._wake.set()
        if self._pid != os.getpid():
            self._start()

    @property
    def failing(self) -> bool:
        """True while Redis does not take hints."""
        return self._failing_since is not None

    def close(self) -> None:
        """End the thread. Safe to repeat."""
        self._stopping.set()
        self._wake.set()

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            try:
                threading.Thread(target=self._run, name="hints", daemon=True).start()
            except RuntimeError as error:  # no more threads for now: the next hint tries again
                log.warning("hints.not_started", error=str(error))
                return
            self._pid = os.getpid()

    def _run(self) -> None:
        client = redis.Redis.from_url(
            self._redis_url,
            socket_connect_timeout=TIMEOUT_S,
            socket_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 1),
        )
        while self._wake.wait() and not self._stopping.is_set():
            self._wake.clear()
            try:
                client.publish(HINTS, b"")
            except (
                Exception
            ) as error:  # an unexpected one too: without this thread there would be no more hints
                self._failed(error)
            else:
                self._worked()
        client.close()

    def _failed(self, error: Exception) -> None:
        if self._failing_since is None:
            self._failing_since = monotonic()
            expected = isinstance(error, CHANNEL_ERRORS)
            log.warning("hints.failing", error=str(error), exc_info=not expected)
        self._stopping.wait(PAUSE_AFTER_FAILURE_S)

    def _worked(self) -> None:
        if self._failing_since is not None:
            log.info("hints.work_again", after_s=round(monotonic() - self._failing_since, 1))
            self._failing_since = None
