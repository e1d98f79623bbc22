"""Coroutines that run until the first of them fails."""

import asyncio

import pytest

from simulator.together import run_together


async def test_the_first_failure_ends_the_others_and_is_raised() -> None:
    ended = asyncio.Event()

    async def fail() -> None:
        raise ConnectionResetError

    async def last() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    with pytest.raises(ConnectionResetError):
        await run_together(last(), fail())

    assert ended.is_set()


async def test_a_cancellation_that_comes_with_a_failure_is_not_lost() -> None:
    gate = asyncio.Event()

    async def fail() -> None:
        await gate.wait()
        raise ConnectionResetError

    async def run() -> None:
        await run_together(fail(), asyncio.Event().wait())

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
