"""An event loop whose time jumps to the next timer instead of waiting for it."""

import asyncio
import selectors


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _VirtualClock()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now_s


class _VirtualClock(selectors.DefaultSelector):
    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.now_s += timeout or 0
        return super().select(0)
