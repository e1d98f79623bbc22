"""Writes the lines of all chargers of a process to standard output: from a thread, so that a slow reader holds up nobody."""

import os
import threading
from collections import Counter, deque
from collections.abc import Callable

#: Lines that wait to be written. Beyond it frames are dropped.
MAX_WAITING_BYTES = 8 * 1024 * 1024

#: What is written at once.
BATCH_BYTES = 256 * 1024

#: A line waits so long for others: a write, and a turn of the thread, for each line would cost as much as the line.
GATHER_S = 0.02


class Writer:
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._dropped: Counter[str] = Counter()
        self.dropped = 0  #: frames, since the start
        self._changed = threading.Condition()
        self._is_closed = False
        #: called once, from the writer's thread, when the output can no longer be written
        self.on_closed: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Of a connection event or a remark: these are few, and never dropped."""
        data = _encode(line)
        with self._changed:
            self._put(data)

    def write_frame(self, charger_id: str, line: str) -> None:
        """Drops the line when too much waits, and counts it."""
        data = _encode(line)
        with self._changed:
            if self._waiting_bytes + len(data) <= MAX_WAITING_BYTES:
                self._put(data)
            else:
                self.dropped += 1
                self._dropped[charger_id] += 1

    def take_dropped(self) -> Counter[str]:
        """The frames that were dropped since the last call, by charger."""
        with self._changed:
            dropped, self._dropped = self._dropped, Counter()
            return dropped

    def close(self, within_s: float) -> None:
        """Writes what waits, if the reader takes it by then. A repeat is safe."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        self._thread.join(within_s)

    def _put(self, data: bytes) -> None:
        """Under the lock."""
        if not self._is_closed:
            self._waiting.append(data)
            self._waiting_bytes += len(data)
            if len(self._waiting) == 1 or self._waiting_bytes >= BATCH_BYTES:
                self._changed.notify()

    def _run(self) -> None:
        while batch := self._next_batch():
            try:
                _write_all(self._descriptor, batch)
            except OSError:  # a broken pipe or a full disk: chargers without a log are useless
                with self._changed:
                    self._is_closed = True
                    self._waiting.clear()
                if self.on_closed:
                    self.on_closed()
                return

    def _next_batch(self) -> bytes:
        """Waits for lines; empty when there will be none any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._is_closed)
            self._changed.wait_for(
                lambda: self._is_closed or self._waiting_bytes >= BATCH_BYTES, timeout=GATHER_S
            )
            lines: list[bytes] = []
            size = 0
            while self._waiting and size < BATCH_BYTES:
                lines.append(self._waiting.popleft())
                size += len(lines[-1])
            self._waiting_bytes -= size
            return b"".join(lines)


def _encode(line: str) -> bytes:
    return (line + "\n").encode("utf-8", "backslashreplace")


def _write_all(descriptor: int, data: bytes) -> None:
    """Raises OSError."""
    left = memoryview(data)
    while left:
        try:
            left = left[os.write(descriptor, left) :]
        except BlockingIOError:  # another process that shares it made it non-blocking
            os.set_blocking(descriptor, True)
