"""What Flower's buttons and `celery control` may do to a worker: it is done, or refused with a sentence.

Celery registers a command for each of them; these take the place of those that a pool of threads and rows as
promises do not allow. A refusal is logged too: for a revocation Flower shows no answer.
"""

from typing import Any

import structlog
from celery.worker.control import Panel, control_command

from shared.queues import Queue
from worker.resources import fit

log = structlog.get_logger(__name__)

Answer = dict[str, str]

QUEUES = [queue.value for queue in Queue]
NOT_TO_BE_ENDED = (
    "A task cannot be revoked: it only says that a command is open, and while the command is open it is published "
    "again. Send the charger another command; the newest one counts."
)
CELERYS: dict[str, Any] = dict(Panel.data)  #: Celery's own commands


@control_command(name="pool_grow", args=[("n", int)], signature="[N=1]")
def grow_pool(state: Any, n: int = 1, **_: object) -> Answer:
    """Run N more tasks at once."""
    pool = state.consumer.pool
    if n < 1:
        return refused("pool_grow", "Grow the pool by 1 or more.")
    if pool.limit + n > pool.most:
        reason = f"This worker has {pool.limit} slots and may have {pool.most}: start another worker."
        return refused("pool_grow", reason)
    fit(pool.limit + n)
    CELERYS["pool_grow"](state, n)
    log.info("pool.resized", slots=pool.limit)
    return {"ok": f"The pool has {pool.limit} slots."}


@control_command(name="pool_shrink", args=[("n", int)], signature="[N=1]")
def shrink_pool(state: Any, n: int = 1, **_: object) -> Answer:
    """Run N fewer tasks at once."""
    pool = state.consumer.pool
    if n < 1:
        return refused("pool_shrink", "Shrink the pool by 1 or more.")
    if pool.limit - n < 1:
        reason = (
            f"This worker has {pool.limit} slots, and one must remain: cancel its queues, or stop the worker."
        )
        return refused("pool_shrink", reason)
    CELERYS["pool_shrink"](state, n)
    fit(pool.limit)
    log.info("pool.resized", slots=pool.limit)
    return {"ok": f"The pool has {pool.limit} slots."}


@control_command(name="autoscale", args=[("max", int), ("min", int)], signature="[max [min]]")
def autoscale(_state: Any, **_: object) -> Answer:
    """Refused: slots do not scale by themselves."""
    return refused(
        "autoscale", "Slots do not scale by themselves: grow or shrink the pool, or start workers."
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
    """Refused: tasks that are held back would fill the worker."""
    reason = (
        "A task that is held back takes a place in the worker, and its command is published again: "
        "ECS_BUDGET_SHARE and ECS_QUOTAS bound the calls to ECS."
    )
    return refused("rate_limit", reason)


@control_command(name="revoke", variadic="task_id", signature="[id1 [id2 [... [idN]]]]")
def revoke(_state: Any, **_: object) -> Answer:
    """Refused: the command of a discarded task is published again."""
    return refused("revoke", NOT_TO_BE_ENDED)


@control_command(
    name="revoke_by_stamped_headers", variadic="headers", signature="[key1=value1 [... [keyN=valueN]]]"
)
def revoke_stamped(_state: Any, **_: object) -> Answer:
    """Refused: as revoke."""
    return refused("revoke_by_stamped_headers", NOT_TO_BE_ENDED)


@control_command(
    name="terminate", variadic="task_id", args=[("signal", str)], signature="<signal> [id1 [... [idN]]]"
)
def terminate(_state: Any, **_: object) -> Answer:
    """Refused: a thread cannot be interrupted."""
    return refused("terminate", NOT_TO_BE_ENDED)


@control_command(name="add_consumer", args=[("queue", str)], signature="<queue>")
def add_consumer(state: Any, queue: str, **_: object) -> Any:
    """Take messages from one more of our queues."""
    return CELERYS["add_consumer"](state, queue) if queue in QUEUES else no_such_queue("add_consumer", queue)


@control_command(name="cancel_consumer", args=[("queue", str)], signature="<queue>")
def cancel_consumer(state: Any, queue: str, **_: object) -> Any:
    """Take no more messages from this queue."""
    return (
        CELERYS["cancel_consumer"](state, queue)
        if queue in QUEUES
        else no_such_queue("cancel_consumer", queue)
    )


def no_such_queue(command: str, queue: str) -> Answer:
    return refused(command, f"There is no queue {queue!r}: the queues are {', '.join(QUEUES)}.")


def refused(command: str, reason: str) -> Answer:
    log.warning("control.refused", command=command, reason=reason)
    return {"error": reason}
