"""Lets the chargers of a host begin and connect at a rate that leaves the others their share of the CPU."""

import asyncio
from types import TracebackType

from simulator.link.pace import Pace

#: A charger takes 1.5 to 2 ms of CPU to connect and boot: so many leave more than half of a core.
STARTS_AT_ONCE, STARTS_PER_S = 10, 200.0

#: Attempts to connect that are under way: more would only wait for the CPU, until their time is up.
HANDSHAKES = 50

#: An attempt that takes longer waits for its CSMS, and takes no CPU: others need not wait for it.
COUNTED_S = 1.0


def new_pace() -> Pace:
    """Of the starts of a host."""
    return Pace(STARTS_AT_ONCE, STARTS_PER_S)


class Handshakes:
    """Entered for each attempt to connect: at most HANDSHAKES that are younger than COUNTED_S are inside, and none while they are held."""

    def __init__(self) -> None:
        self.attempts = 0  #: so far
        self._allowed = asyncio.Event()
        self._allowed.set()
        self._free = asyncio.Semaphore(HANDSHAKES)
        self._limits: dict[asyncio.Task[object] | None, asyncio.TimerHandle] = {}

    def hold(self) -> None:
        """Nobody enters before `allow`. A repeat is safe."""
        self._allowed.clear()

    def allow(self) -> None:
        """A repeat is safe."""
        self._allowed.set()

    async def __aenter__(self) -> None:
        await self._allowed.wait()
        await self._free.acquire()
        self.attempts += 1
        task = asyncio.current_task()
        self._limits[task] = asyncio.get_running_loop().call_later(COUNTED_S, self._leave, task)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave(asyncio.current_task())

    def _leave(self, task: "asyncio.Task[object] | None") -> None:
        """The first time counts."""
        limit = self._limits.pop(task, None)
        if limit is not None:
            limit.cancel()
            self._free.release()
