"""Jobs that live and die together."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def run_together(*jobs: Coroutine[Any, Any, object]) -> None:
    """Until one raises, which ends the others and is raised here.

    asyncio.TaskGroup wraps what is raised, and in Python 3.11 and 3.12 forgets a cancellation that comes with it.
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
