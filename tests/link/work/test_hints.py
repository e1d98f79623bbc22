"""The link is woken by hints, whatever happened to an earlier one."""

import asyncio
from contextlib import suppress

import redis

from link.work.hints import listen_for_hints
from shared.fleet.control import HINTS


async def test_a_hint_wakes_also_after_one_that_failed_by_a_bug(redis_url: str) -> None:
    woken = asyncio.Event()
    failures = iter([True])

    def wake() -> None:
        if next(failures, False):
            raise KeyError("a bug")
        woken.set()

    listening = asyncio.create_task(listen_for_hints(redis_url, wake))
    with redis.Redis.from_url(redis_url) as sender:
        async with asyncio.timeout(20):
            while not woken.is_set():
                sender.publish(HINTS, b"")
                await asyncio.sleep(0.05)
                assert not listening.done(), listening.exception()

    listening.cancel()
    with suppress(asyncio.CancelledError):
        await listening
