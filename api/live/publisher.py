"""Hands committed commands to the queue. No request ever waits for it.

The command's row is the promise; a message that is dropped here is published again by the sweep.
"""

import os
import threading
from collections import deque
from collections.abc import Iterable
from time import monotonic, sleep

import structlog

from shared.broker.app import BATCH_SIZE, BROKER_ERRORS, Sender, make_celery
from shared.queues import Message, TaskName

log = structlog.get_logger(__name__)

GATHER_S = 0.01  # between two batches when many come: a message in a batch costs a third of one by itself
MANY_PER_S = 300  # messages; fewer are sent one by one, and none of them waits
PAUSE_AFTER_FAILURE_S = 1.0  # the broker's time to come back before the next try


class Publisher:
    """One per API process. Its thread starts with the first message, so a fork before that is safe."""

    def __init__(self, broker_url: str, *, buffer_size: int) -> None:
        self._broker_url = broker_url
        self._buffer: deque[tuple[TaskName, Message]] = deque(maxlen=buffer_size)
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._pid: int | None = None
        self._thread: threading.Thread | None = None
        self._failing_since: float | None = None
        self.dropped = 0  #: messages left to the sweep, since the start

    def publish(self, messages: Iterable[tuple[TaskName, Message]]) -> None:
        """Take the messages over. Returns at once, whatever the broker does; never raises."""
        for item in messages:
            if len(self._buffer) == self._buffer.maxlen:
                self.dropped += 1
                continue
            self._buffer.append(item)
        if self._pid != os.getpid():
            self._start()
        self._wake.set()
        sleep(0)  # the hint has the longer way, and sets out before the answer does

    @property
    def waiting(self) -> int:
        """Messages that the broker has not taken yet."""
        return len(self._buffer)

    @property
    def failing(self) -> bool:
        """True while the broker does not take messages."""
        return self._failing_since is not None

    def close(self, timeout_s: float = 3) -> None:
        """Send what is left, for at most timeout_s. What remains is the sweep's."""
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
                if sent > MANY_PER_S * (sent_at - before):
                    self._stopping.wait(GATHER_S)
        sender.close()

    def _send_some(self, sender: Sender) -> int:
        """Send up to a batch. Returns how many were taken from the buffer, 0 when stopping and the broker is away."""
        batch = [self._buffer.popleft() for _ in range(min(len(self._buffer), BATCH_SIZE))]
        try:
            sender.send(batch)
        except (
            Exception
        ) as error:  # also one that nobody foresaw: without this thread all is left to the sweep
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
            unforeseen = not isinstance(error, BROKER_ERRORS)
            log.warning("broker.away", error=str(error), left_to_the_sweep=lost, exc_info=unforeseen)
        self._stopping.wait(PAUSE_AFTER_FAILURE_S)
