"""Runs coroutines, and waits for futures, until the first of them fails."""

import asyncio
from collections.abc import Awaitable


async def run_together(*jobs: Awaitable[object], ends: tuple[type[Exception], ...] = ()) -> None:
    """Cancels the others when one raises, and raises its exception. One that is not of `ends` is raised first.

    So a fault is not lost that happens because of an end, while the others are cancelled. A fault during a cancellation
    goes to the event loop's handler.

    asyncio.TaskGroup wraps the exception, and in Python 3.11 and 3.12 loses a cancellation that comes at the same time.
    """
    tasks = [asyncio.ensure_future(job) for job in jobs]
    cancelled = True
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        cancelled = False
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        errors = [result for result in results if isinstance(result, Exception)]
        faults = [error for error in errors if not isinstance(error, ends)]
        if cancelled:
            _report(faults)
    for error in faults + errors:
        raise error


def _report(faults: list[Exception]) -> None:
    for fault in faults:
        context = {"message": "an error while a charger ends", "exception": fault}
        asyncio.get_running_loop().call_exception_handler(context)
