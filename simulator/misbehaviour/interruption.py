"""The link or the power of a charger is off on purpose, for a time."""

import asyncio


class Interruption:
    """Begins when it is made. `end` may be repeated."""

    def __init__(self, seconds: float, *, of_power: bool) -> None:
        self.seconds = seconds
        self.of_power = of_power
        self._over = asyncio.Event()
        self._end = asyncio.get_running_loop().call_later(seconds, self._over.set)

    def end(self) -> None:
        self._end.cancel()
        self._over.set()

    async def wait(self) -> None:
        await self._over.wait()
