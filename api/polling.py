"""A thread that looks at something again and again, while somebody wants to know."""

import threading
from collections.abc import Callable


class Poller:
    """The thread starts when it is wanted first, so a fork before that is safe, and ends when it is not."""

    def __init__(
        self, name: str, look: Callable[[], None], *, wanted: Callable[[], bool], every_s: float
    ) -> None:
        self._name = name
        self._look = look
        self._wanted = wanted
        self._every_s = every_s
        self._lock = threading.Lock()
        self._running = False
        self._closing = threading.Event()

    def ensure_running(self) -> None:
        """To be called when `wanted` has become true."""
        with self._lock:
            if self._running or self._closing.is_set():
                return
            self._running = True
        threading.Thread(target=self._run, name=self._name, daemon=True).start()

    @property
    def closed(self) -> bool:
        return self._closing.is_set()

    def close(self) -> None:
        """Look no more."""
        self._closing.set()

    def _run(self) -> None:
        while True:
            with self._lock:
                if self._closing.is_set() or not self._wanted():
                    self._running = False
                    return
            self._look()
            self._closing.wait(self._every_s)
