"""Keep all workers together below Amazon's rate quotas for the ECS API.

Each group of operations has a token bucket in Redis, and in front of it a queue in which organizations take turns
(worker/ecs/turns.py). A thread sleeps for at most a second; a call that must wait longer raises BudgetSpent, with the time
until its turn. When Redis does not answer, each worker process uses its share of the rate.
"""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import redis

from shared.settings import BudgetSettings, SettingsError
from worker.ecs.counts import TurnCounts
from worker.ecs.turns import OBSERVER, Caller, LocalTurns, Priority, Queued, Quota, SharedTurns, Turn
from worker.outage_log import OutageLog

REDIS_AGAIN_AFTER_S = 5.0  # without an answer Redis is left alone for so long

#: Per account and region: Amazon ECS Developer Guide, "Request throttling for the Amazon ECS API".
QUOTAS = {
    "service_changes": Quota(5, 50, ("CreateService", "UpdateService", "DeleteService")),
    "service_reads": Quota(20, 100, ("DescribeServices",)),
    "task_changes": Quota(40, 100, ("StopTask",)),
    "task_reads": Quota(20, 100, ("DescribeTasks", "ListTasks")),
    "definition_changes": Quota(
        1,
        20,
        ("RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions"),
        urgent=Priority.PROVISIONING,
    ),
    "definition_reads": Quota(
        20, 50, ("DescribeTaskDefinition", "ListTaskDefinitions"), urgent=Priority.PROVISIONING
    ),
}
GROUP_OF = {operation: group for group, quota in QUOTAS.items() for operation in quota.operations}


class BudgetSpent(Exception):
    """The call was not made. Its turn is expected in `delay_s` seconds."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"Waiting for the ECS rate budget, about {max(1, round(delay_s))} s")
        self.delay_s = delay_s


_caller: ContextVar[Caller] = ContextVar("caller", default=OBSERVER)


@contextmanager
def on_behalf_of(
    charger_id: str, organization_id: str, priority: Priority = Priority.LIFECYCLE
) -> Iterator[None]:
    """Make the calls in this block for a charger: they are queued. All others observe, and take what is left over."""
    token = _caller.set(Caller(charger_id, organization_id, priority))
    try:
        yield
    finally:
        _caller.reset(token)


class Budget:
    """Takes a turn before every call to ECS. One per worker process, safe to share between threads."""

    def __init__(self, settings: BudgetSettings) -> None:
        """Raises SettingsError for ECS_QUOTAS."""
        self._quotas = quotas(settings)
        self._shared = SharedTurns(settings.redis_url) if settings.redis_url else None
        self._local = LocalTurns()
        self._shared_again_at = 0.0
        self._redis_log = OutageLog("budget.redis", redis.RedisError, OSError)
        self.turns = TurnCounts()

    def before_send(self, event_name: str, **_: object) -> None:
        """Handle botocore's event: as `take`, for the operation that the event names."""
        self.take(event_name.rsplit(".", 1)[-1])

    def take(self, operation: str) -> None:
        """Sleep until the operation's turn, for 2 s at most. Raises BudgetSpent when its turn is later.

        Returns at once for an operation without a quota. A repeat after `delay_s` keeps the caller's position.
        """
        group = GROUP_OF.get(operation)
        if group is None or group not in self._quotas:
            return
        caller = _caller.get()
        turn = self._turn(group, self._quotas[group], caller)
        self.turns.note(group, granted=turn.granted, wait_s=turn.wait_s, queued=bool(caller.charger_id))
        if not turn.granted:
            raise BudgetSpent(turn.wait_s)
        if turn.wait_s > 0:
            time.sleep(turn.wait_s)

    def queues(self) -> tuple[dict[str, Queued], bool]:
        """What waits at each quota now, and whether that is known of all workers: of this process alone while Redis is away."""
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                return self._shared.queues(self._quotas), True
            except (redis.RedisError, OSError):
                pass  # the next call to ECS logs it
        return self._local.queues(self._quotas), False

    @property
    def quotas(self) -> Mapping[str, Quota]:
        """By group; empty when the budget is off."""
        return self._quotas

    def _turn(self, group: str, quota: Quota, caller: Caller) -> Turn:
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                turn, self._local.sharers = self._shared.take(group, quota, caller)
            except (redis.RedisError, OSError) as error:
                self._shared_again_at = time.monotonic() + REDIS_AGAIN_AFTER_S
                self._redis_log.failed(error)
            else:
                self._redis_log.recovered()
                return turn
        return self._local.take(group, quota, caller)


def quotas(settings: BudgetSettings) -> Mapping[str, Quota]:
    """The share of each quota that this installation uses. Empty when the budget is off. Raises SettingsError."""
    if settings.share <= 0:
        return {}
    own = {}
    for group, value in settings.quotas.items():
        if group not in QUOTAS:
            raise SettingsError(f"ECS_QUOTAS: {group!r} is not one of {', '.join(QUOTAS)}")
        try:
            per_second, burst = (float(number) for number in value.split("/"))
        except ValueError:
            raise SettingsError(f"ECS_QUOTAS: {group} must be RATE/BURST, as in 5/50") from None
        own[group] = QUOTAS[group]._replace(per_second=per_second, burst=burst)
    return {
        group: quota._replace(
            per_second=quota.per_second * settings.share, burst=max(1.0, quota.burst * settings.share)
        )
        for group, quota in {**QUOTAS, **own}.items()
    }
