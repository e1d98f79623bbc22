"""Repeats one kind of work for as long as the process lives."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from time import monotonic

import structlog

from shared.database.engine import contention, is_unavailable

log = structlog.get_logger(__name__)

FIRST_PAUSE_S, MAX_PAUSE_S = 0.2, 2.0  # after a failure; doubles


class Loop:
    """Works when it is woken and, if `every_s` is given, that long after the last time. One run at a time.

    No error ends it: it logs one line when the work begins to fail and one when it succeeds again.
    """

    def __init__(
        self, name: str, work: Callable[[], Awaitable[None]], *, every_s: float | None, pause_s: float = 0.0
    ) -> None:
        """`pause_s` is the least time between two runs: what comes meanwhile is served together."""
        self._name = name
        self._work = work
        self._every_s = every_s
        self._pause_s = pause_s
        self._woken = asyncio.Event()
        self._failing_since: float | None = None

    def wake(self) -> None:
        """Have the work run as soon as it may, once more after the run that is going on. Safe to repeat."""
        self._woken.set()

    async def run(self) -> None:
        """Run until it is cancelled."""
        failure_pause_s = FIRST_PAUSE_S
        while True:
            await self._due()
            try:
                await self._work()
            except Exception as error:  # a bug must not stop the work for good
                self._failed(error)
                await asyncio.sleep(failure_pause_s)
                failure_pause_s = min(2 * failure_pause_s, MAX_PAUSE_S)
                self.wake()
            else:
                self._worked()
                failure_pause_s = FIRST_PAUSE_S
                await asyncio.sleep(self._pause_s)

    async def _due(self) -> None:
        try:
            async with asyncio.timeout(self._every_s):
                await self._woken.wait()
        except TimeoutError:
            pass
        self._woken.clear()

    def _failed(self, error: Exception) -> None:
        if self._failing_since is not None:
            return
        self._failing_since = monotonic()
        expected = is_unavailable(error) or contention(error) is not None
        first_line = f"{type(error).__name__}: {error}".partition("\n")[0]
        log.warning("link.failing", work=self._name, error=first_line, exc_info=not expected)

    def _worked(self) -> None:
        if self._failing_since is not None:
            log.info("link.works_again", work=self._name, after_s=round(monotonic() - self._failing_since, 1))
            self._failing_since = None


async def end_tasks(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel the tasks, and return when all have ended.

    A task is cancelled again until then: redis-py swallows a cancellation while it connects.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=0.1)
