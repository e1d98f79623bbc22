"""Publishes the messages of committed commands from a thread. No request waits for the broker.

A message that is dropped here is published again by the sweep, because the command's row is what counts.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from time import monotonic, sleep
from typing import Any

import structlog

from shared.broker.app import BATCH_SIZE, BROKER_ERRORS, Sender, make_celery
from shared.queues import TaskName

log = structlog.get_logger(__name__)

GATHER_S = (
    0.01  # pause between two batches at a high rate: a message in a batch costs a third of a single one
)
GATHER_ABOVE_PER_S = 300  # messages/s above which the publisher pauses; below it each message is sent at once
PAUSE_AFTER_FAILURE_S = 1.0  # before the broker is tried again


class Publisher:
    """One per API process. Its thread starts with the first message, so a fork before that is safe."""

    def __init__(self, broker_url: str, *, buffer_size: int) -> None:
        self._broker_url = broker_url
        self._buffer: deque[tuple[TaskName, Mapping[str, Any]]] = deque(maxlen=buffer_size)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pid: int | None = None
        self._thread: threading.Thread | None = None
        self._failing_since: float | None = None
        self.dropped = 0  #: messages left to the sweep since the start

    def publish(self, messages: Iterable[tuple[TaskName, Mapping[str, Any]]]) -> None:
        """Put the messages in the buffer. Returns at once and never raises, whatever the broker does."""
        for item in messages:
            if len(self._buffer) == self._buffer.maxlen:
                self.dropped += 1
                continue
            self._buffer.append(item)
        if self._pid != os.getpid():
            self._start()
        self._wake.set()
        sleep(0)  # yield to the publisher, so that the message leaves before the response

    @property
    def waiting(self) -> int:
        """The number of messages in the buffer."""
        return len(self._buffer)

    @property
    def failing(self) -> bool:
        """True while the broker does not take messages."""
        return self._failing_since is not None

    def close(self, timeout_s: float = 3) -> None:
        """Send the buffered messages, for at most timeout_s seconds. The sweep publishes the rest."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None and self._pid == os.getpid():
            self._thread.join(timeout_s)

    def _start(self) -> None:
        with self._lock:
            if self._pid == os.getpid():
                return
            thread = threading.Thread(target=self._run, name="publisher", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # no more threads for now: the next publish tries again
                log.warning("publisher.not_started", error=str(error))
                return
            self._pid, self._thread = os.getpid(), thread

    def _run(self) -> None:
        sender = Sender(make_celery(self._broker_url, publisher=True))
        sent_at = monotonic()
        while not (self._stopping.is_set() and not self._buffer):
            self._wake.wait()
            self._wake.clear()
            while self._buffer:
                before, sent_at = sent_at, monotonic()
                sent = self._send_some(sender)
                if not sent:
                    break
                if sent > GATHER_ABOVE_PER_S * (sent_at - before):
                    self._stopping.wait(GATHER_S)
        sender.close()

    def _send_some(self, sender: Sender) -> int:
        """Send up to a batch. Returns how many left the buffer; 0 if the broker failed while the publisher stops."""
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), BATCH_SIZE))]
        try:
            sender.send(batch)
        except Exception as error:  # an unexpected one too: without this thread only the sweep would publish
            self._after_failure(error, len(batch))
            return 0 if self._stopping.is_set() else len(batch)
        if self._failing_since is not None:
            log.info("broker.back", away_s=round(monotonic() - self._failing_since, 1))
            self._failing_since = None
        return len(batch)

    def _after_failure(self, error: Exception, lost: int) -> None:
        self.dropped += lost
        if self._failing_since is None:
            self._failing_since = monotonic()
            unexpected = not isinstance(error, BROKER_ERRORS)
            log.warning("broker.away", error=str(error), left_to_the_sweep=lost, exc_info=unexpected)
        self._stopping.wait(PAUSE_AFTER_FAILURE_S)
