"""Collects what happens in a short time, so that it is sent at once."""

import asyncio
from collections.abc import Callable


class Cadence:
    """Calls `act` soon after a prompt, once for all prompts until then, and not more often than `every_s`."""

    def __init__(self, act: Callable[[], object], *, soon_s: float, every_s: float) -> None:
        self._act = act
        self._soon_s = soon_s
        self._every_s = every_s
        self._acted_at_s = float("-inf")
        self._handle: asyncio.TimerHandle | None = None

    def prompt(self) -> None:
        if self._handle is None:
            loop = asyncio.get_running_loop()
            wait_s = max(self._soon_s, self._acted_at_s + self._every_s - loop.time())
            self._handle = loop.call_later(wait_s, self._run)

    def cancel(self) -> None:
        """No call follows from earlier prompts; a repeat is safe."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _run(self) -> None:
        self._handle = None
        self._acted_at_s = asyncio.get_running_loop().time()
        self._act()
