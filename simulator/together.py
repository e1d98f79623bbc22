"""Runs coroutines until the first of them fails."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_together(*jobs: Coroutine[Any, Any, object]) -> None:
    """Cancels the others when one raises, and raises its exception.

    asyncio.TaskGroup wraps the exception, and in Python 3.11 and 3.12 loses a cancellation that comes at the same time.
    """
    tasks = [asyncio.create_task(job) for job in jobs]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        failed = [task for task in tasks if task.done() and not task.cancelled() and task.exception()]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in failed:
        task.result()
