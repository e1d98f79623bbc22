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
        await run_together(fail(), asyncio.Event().wait(), ends=(ConnectionResetError,))

    running = asyncio.create_task(run())
    await asyncio.sleep(0)
    gate.set()
    await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_fault_while_the_others_are_cancelled_is_raised_instead_of_an_ordinary_end() -> None:
    async def end() -> None:
        raise ConnectionResetError

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await run_together(fail_when_cancelled(), end(), ends=(ConnectionResetError,))
    with pytest.raises(ConnectionResetError):
        await run_together(end(), end(), ends=(ConnectionResetError,))


async def test_a_fault_during_a_cancellation_is_reported_and_does_not_stop_it() -> None:
    reported: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ZeroDivisionError

    running = asyncio.create_task(run_together(fail_when_cancelled()))
    for _ in range(2):
        await asyncio.sleep(0)
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running
    assert [type(context["exception"]) for context in reported] == [ZeroDivisionError]
