"""A flag works as an asyncio.Event."""

import asyncio

import pytest

from simulator.flag import Flag
from tests.support.waiting import wait_until_async


async def test_all_who_wait_go_on_when_it_is_set_also_if_it_is_cleared_at_once() -> None:
    flag = Flag()
    waiting = [asyncio.create_task(flag.wait()) for _ in range(3)]
    await asyncio.sleep(0)

    flag.set()
    flag.clear()

    assert await asyncio.gather(*waiting) == [True] * 3
    assert not flag.is_set()


async def test_nobody_waits_while_it_is_set() -> None:
    flag = Flag()
    flag.set()

    assert await asyncio.wait_for(flag.wait(), 1)
    assert flag.is_set()


async def test_one_who_is_cancelled_holds_up_no_other() -> None:
    flag = Flag()
    first, second = (asyncio.create_task(flag.wait()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    flag.set()

    assert await second
    with pytest.raises(asyncio.CancelledError):
        await first
    flag.clear()
    third = asyncio.create_task(flag.wait())
    await wait_until_async(lambda: not third.done())
    flag.set()
    assert await third
