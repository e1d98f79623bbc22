"""Watches the event loop of a host: how late its timers are, and whether it stands still."""

import asyncio
import faulthandler
import os
import signal
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable

#: Between two samples of the loop's clock, and how many count: those of 10 s.
SAMPLE_S, SAMPLES = 0.05, 200

#: Of the thread that watches the loop.
TICK_S = 1.0

#: A loop that stands so long is looked into, and then ends the process: ECS starts it again.
STANDS_S, HOPELESS_S = 5, 30

#: After which another process may run the chargers: the lease of the control link is 15 s.
STOOD_S = 10.0

#: Of the stack in the log.
MAX_STACK_LENGTH = 8_000


class Watchdog:
    def __init__(
        self, say: Callable[[str], None], end: Callable[[], None], stood: Callable[[], object]
    ) -> None:
        """`say` and `end` are called from a thread: with the stack of a loop that stands, and when there is no more hope.

        `stood` is called in the loop that has stood for STOOD_S, or whose process was stopped for so long, as soon as it goes on.
        """
        self._say = say
        self._end = end
        self._stood = stood
        self._late_s: deque[float] = deque(maxlen=SAMPLES)
        self._samples = 0
        self._stopped = threading.Event()

    async def run(self) -> None:
        """Until cancelled."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()
        try:
            while True:
                due_s = time.monotonic() + SAMPLE_S
                await asyncio.sleep(SAMPLE_S)
                late_s = max(time.monotonic() - due_s, 0.0)
                self._late_s.append(late_s)
                if late_s > STOOD_S:
                    self._stood()
                self._samples += 1
        finally:
            self._stopped.set()

    @property
    def lag_ms(self) -> int:
        """How late a timer was, of the last 10 s; one in a hundred was later."""
        late_s = sorted(self._late_s)
        return round(late_s[int(len(late_s) * 0.99)] * 1000) if late_s else 0

    def _watch(self) -> None:
        """Counts its own ticks: a process that was stopped, or a machine that slept, is not a loop that stands."""
        samples, stood = self._samples, 0
        while not self._stopped.wait(TICK_S):
            stood = stood + 1 if self._samples == samples else 0
            samples = self._samples
            if stood == STANDS_S:
                self._say(f"the event loop has stood for {stood} s: {_stack()}")
            elif stood == HOPELESS_S:
                self._say(f"the event loop has stood for {stood} s: the process ends")
                self._end()


def kill_process() -> None:
    """Nothing of it waits for anything."""
    os.kill(os.getpid(), signal.SIGKILL)


def _stack() -> str:
    """Of all threads."""
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file)
        file.seek(0)
        return file.read(MAX_STACK_LENGTH)
