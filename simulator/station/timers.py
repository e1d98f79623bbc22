"""Named one-shot timers of connectors and of the whole charger. Nothing else of a charger waits in the event loop."""

import asyncio
from collections.abc import Callable
from typing import Never

from simulator.station.model import Connector


class Timers:
    """A timer is known by its connector (None: the charger) and its name. Starting it again replaces it."""

    def __init__(self) -> None:
        self._handles: dict[tuple[int, str], asyncio.TimerHandle] = {}
        self._failure: asyncio.Future[Never] | None = None

    def watch(self) -> "asyncio.Future[Never]":
        """Raises what a timer raises: an error in the event loop's own handler would end the timer and nothing else.

        Errors from before the call are dropped: the charger has been restarted for the first of them.
        """
        self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def now_s(self) -> float:
        """Seconds on the clock of the timers, which never steps and stands still while the host is suspended."""
        return asyncio.get_running_loop().time()

    def start(
        self, connector: Connector | None, name: str, delay_s: float, act: Callable[[], object]
    ) -> None:
        self.cancel(connector, name)
        key = _key(connector, name)

        def run() -> None:
            self._handles.pop(key, None)
            try:
                act()
            except Exception as error:
                self.fail(error)

        self._handles[key] = asyncio.get_running_loop().call_later(delay_s, run)

    def fail(self, error: Exception) -> None:
        """Whoever watches gets the error; the first one counts."""
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)

    def cancel(self, connector: Connector | None, name: str) -> None:
        """Safe for a timer that does not run."""
        handle = self._handles.pop(_key(connector, name), None)
        if handle:
            handle.cancel()

    def is_running(self, connector: Connector | None, name: str) -> bool:
        return _key(connector, name) in self._handles

    def cancel_all(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()


def _key(connector: Connector | None, name: str) -> tuple[int, str]:
    return (connector.number if connector else 0, name)
