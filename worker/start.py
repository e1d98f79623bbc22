"""What must be true before a worker takes a message. What cannot work ends it with one line and status 1."""

import sys
from collections.abc import Mapping
from typing import Any, NoReturn

import click
from celery.signals import celeryd_init
from click.core import ParameterSource

from shared.queues import Queue
from worker.context import fit
from worker.pool import TaskPool

#: Celery's options that its pools of processes have, and what to do instead.
NOT_FOR_THREADS = {
    "autoscale": "slots do not scale by themselves: grow the pool, or start another worker",
    "max_tasks_per_child": "there are no child processes: tasks run in threads",
    "max_memory_per_child": "there are no child processes: tasks run in threads",
    "time_limit": "a task in a thread cannot be interrupted: ECS_READ_TIMEOUT_SECONDS bounds each call to ECS",
    "soft_time_limit": "a task in a thread cannot be interrupted: ECS_READ_TIMEOUT_SECONDS bounds each call to ECS",
}


@celeryd_init.connect
def check_options(options: Mapping[str, Any], **_: object) -> None:
    """As soon as the command line is read."""
    check_queues("-Q", options.get("queues"))
    check_queues("-X", options.get("exclude_queues"))
    if options.get("pool") is not TaskPool:
        return  # gevent and the like have options of their own
    if pool_was_named():
        end("-P prefork has no effect: tasks run in threads, and -c says how many; leave -P out")
    for option, instead in NOT_FOR_THREADS.items():
        if options.get(option) is not None:
            end(f"--{option.replace('_', '-')} has no effect: {instead}")
    slots = options.get("concurrency")
    if slots is None:
        return
    if slots < 1:
        end(f"-c {slots} (or WORKER_CONCURRENCY) leaves no room for a task: use 1 or more")
    fit(slots)


def check_queues(option: str, queues: list[str] | None) -> None:
    known = [queue.value for queue in Queue]
    for queue in queues or ():
        if queue not in known:
            end(f"{option} {queue}: there is no such queue: the queues are {', '.join(known)}")


def pool_was_named() -> bool:
    """Whether -P was given: Celery takes `prefork`, its default, for whatever the app has."""
    command = click.get_current_context(silent=True)
    return command is not None and command.get_parameter_source("pool") is ParameterSource.COMMANDLINE


def end(reason: str) -> NoReturn:
    sys.exit(f"Error: {reason}")
