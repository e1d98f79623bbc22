"""The commands behind Flower's buttons and `celery control`: each is carried out, or refused with a reason.

They replace Celery's own commands where a pool of threads, or commands that live in the database, do not allow them.
Refusals are logged too, because Flower shows no answer to a revocation.
"""

from typing import Any

import structlog
from celery.worker import control
from celery.worker.control import control_command

from shared.queues import Queue
from worker.resources import fit

log = structlog.get_logger(__name__)

Answer = dict[str, str]

QUEUES = [queue.value for queue in Queue]
NOT_REVOCABLE = (
    "A task cannot be revoked: it only says that a command is open, and an open command is published again. "
    "Send the charger another command; the newest one counts."
)
celery_commands: Any = control  # the stubs name none of them


@control_command(name="pool_grow", args=[("n", int)], signature="[N=1]")
def grow_pool(state: Any, n: int = 1, **_: object) -> Answer:
    """Run N more tasks at once."""
    pool = state.consumer.pool
    if n < 1:
        return refused("pool_grow", "Grow the pool by 1 or more.")
    if pool.limit + n > pool.max_limit:
        reason = f"This worker has {pool.limit} threads and may have {pool.max_limit}: start another worker."
        return refused("pool_grow", reason)
    fit(pool.limit + n)
    celery_commands.pool_grow(state, n)
    log.info("pool.resized", threads=pool.limit)
    return {"ok": f"The pool has {pool.limit} threads."}


@control_command(name="pool_shrink", args=[("n", int)], signature="[N=1]")
def shrink_pool(state: Any, n: int = 1, **_: object) -> Answer:
    """Run N fewer tasks at once."""
    pool = state.consumer.pool
    if n < 1:
        return refused("pool_shrink", "Shrink the pool by 1 or more.")
    if pool.limit - n < 1:
        reason = f"This worker has {pool.limit} threads, and one must remain: cancel its queues, or stop the worker."
        return refused("pool_shrink", reason)
    celery_commands.pool_shrink(state, n)
    fit(pool.limit)
    log.info("pool.resized", threads=pool.limit)
    return {"ok": f"The pool has {pool.limit} threads."}


@control_command(name="autoscale", args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(_state: Any, **_: object) -> Answer:
    """Refused: threads do not scale by themselves."""
    return refused(
        "autoscale", "Threads do not scale by themselves: grow or shrink the pool, or start workers."
    )


@control_command(name="pool_restart")
def restart_pool(_state: Any, **_: object) -> Answer:
    """Refused: a pool lives as long as its worker."""
    reason = "A pool lives as long as its worker: shut the worker down, and its supervisor starts it again."
    return refused("pool_restart", reason)


@control_command(
    name="time_limit",
    args=[("task_name", str), ("soft", float), ("hard", float)],
    signature="<task> <soft> [hard]",
)
def limit_time(_state: Any, **_: object) -> Answer:
    """Refused: a thread cannot be interrupted."""
    reason = (
        "A task in a thread cannot be interrupted: ECS_READ_TIMEOUT_SECONDS bounds each call to ECS, "
        "COMMAND_DEADLINE_SECONDS the command."
    )
    return refused("time_limit", reason)


@control_command(name="rate_limit", args=[("task_name", str), ("rate_limit", str)], signature="<task> <rate>")
def limit_rate(_state: Any, **_: object) -> Answer:
    """Refused: delayed tasks would occupy the worker's threads."""
    reason = (
        "A delayed task occupies a thread of the worker, and its command is published again: "
        "ECS_BUDGET_SHARE and ECS_QUOTAS bound the calls to ECS."
    )
    return refused("rate_limit", reason)


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(_state: Any, **_: object) -> Answer:
    """Refused: the command of a discarded task is published again."""
    return refused("revoke", NOT_REVOCABLE)


@control_command(
    name="revoke_by_stamped_headers", variadic="headers", signature="[key1=value1 [... [keyN=valueN]]]"
)
def revoke_stamped(_state: Any, **_: object) -> Answer:
    """Refused: as revoke."""
    return refused("revoke_by_stamped_headers", NOT_REVOCABLE)


@control_command(
    name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [... [idN]]]"
)
def terminate(_state: Any, **_: object) -> Answer:
    """Refused: a thread cannot be interrupted."""
    return refused("terminate", NOT_REVOCABLE)


@control_command(name="add_consumer", args=[("queue", str)], signature="<queue>")
def add_consumer(state: Any, queue: str, **_: object) -> Any:
    """Take messages from one more of our queues."""
    if queue not in QUEUES:
        return no_such_queue("add_consumer", queue)
    answer = celery_commands.add_consumer(state, queue)
    queues = state.app.amqp.queues
    queues.select([*queues.consume_from, queue])  # Celery drops it with the connection
    return answer


@control_command(name="cancel_consumer", args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: Any, queue: str, **_: object) -> Any:
    """Take no more messages from this queue."""
    return (
        celery_commands.cancel_consumer(state, queue)
        if queue in QUEUES
        else no_such_queue("cancel_consumer", queue)
    )


def no_such_queue(command: str, queue: str) -> Answer:
    return refused(command, f"There is no queue {queue!r}: the queues are {', '.join(QUEUES)}.")


def refused(command: str, reason: str) -> Answer:
    log.warning("control.refused", command=command, reason=reason)
    return {"error": reason}
