"""The one way in which tests wait for other threads and processes: read again until the result is true."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(read: Callable[[], T], within_s: float = 10, what: str = "", *, every_s: float = 0.02) -> T:
    """Read every every_s seconds until the result is true, and return it. Raises AssertionError, with `what`, after within_s seconds."""
    deadline = time.monotonic() + within_s
    while not (result := read()):
        assert time.monotonic() < deadline, f"not within {within_s:g} s: {what or f'still {result!r}'}"
        time.sleep(every_s)
    return result


async def wait_until_async(read: Callable[[], object], *, within_s: float = 10) -> None:
    """Read every 4 ms, in the running event loop, until the result is true. Raises TimeoutError after within_s seconds."""
    async with asyncio.timeout(within_s):
        while not read():
            await asyncio.sleep(0.004)
