"""Celery's pool of threads, which Flower can resize.

A message holds one of the worker's places until its task has ended, and there are as many places as `-c` says
(`worker_prefetch_multiplier` 1, `task_acks_late`). So the broker's prefetch count bounds how many tasks run at once.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from billiard.einfo import ExceptionInfo
from celery.concurrency import thread

from worker.ecs.aws_settings import MAX_GROWTH


class TaskPool(thread.TaskPool):
    """What `worker_pool` names. `-c` is its number of threads."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.max_limit = self.limit * MAX_GROWTH
        self.executor = ThreadPoolExecutor(self.max_limit)  # starts a thread only when all others are busy

    def grow(self, n: int) -> None:
        """Run n more tasks at once. Celery raises the prefetch count accordingly."""
        self.limit += n

    def shrink(self, n: int) -> None:
        """Run n fewer tasks at once. Running tasks go on; Celery takes no others until there are few enough."""
        self.limit -= n

    def on_apply(  # type: ignore[override]  # the stubs have a pool without error callbacks
        self, target: Callable[..., Any], *args: Any, error_callback: Callable[..., Any], **options: Any
    ) -> Any:
        """As Celery's. A message that breaks Celery's code around the task is acknowledged too, and frees its place."""

        def guarded(*task: Any) -> Any:
            try:
                return target(*task)
            except BaseException:
                error_callback(ExceptionInfo())
                raise

        return super().on_apply(guarded, *args, **options)
