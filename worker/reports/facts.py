"""Gathers what a worker reports: its queues and threads from Celery, its calls and turns from its clients."""

from collections import Counter, deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from celery.worker import state

from shared.operations.budget import RECENT_S
from worker.ecs.budget import GROUP_OF, Budget
from worker.ecs.client import EcsClient


def celery_facts(consumer: Any) -> dict[str, Any]:
    """Columns of the row, as Celery's consumer is now. A worker that shuts down takes no more messages."""
    busy = len(state.active_requests)
    flags = [getattr(state, name) for name in ("should_stop", "should_terminate")]
    stops = any(flag is not None and flag is not False for flag in flags)
    return {
        "queues": [] if stops else sorted(consumer.app.amqp.queues.consume_from),
        "threads": consumer.pool.limit,
        "busy": busy,
        "tasks_done": max(0, state.all_total_count[0] - busy),
    }


class EcsFacts:
    """What the worker's calls to ECS and its turns at the budget were. For one thread."""

    def __init__(self, ecs: EcsClient, budget: Budget, clock: Callable[[], float] = monotonic) -> None:
        self._ecs = ecs
        self._budget = budget
        self._clock = clock
        self._reported_at = clock()
        self._granted: Counter[str] = Counter()  #: by group, at the last report
        self._throttled: deque[tuple[float, Counter[str]]] = deque()  #: by group, in each period of RECENT_S
        self._throttles: Counter[str] = Counter()  #: by operation, at the last report

    def columns(self) -> dict[str, Any]:
        """The columns `ecs` and `budget`. Rates are those since the last call. Waits for Redis for 0.6 s at most."""
        now = self._clock()
        period_s = max(0.001, now - self._reported_at)
        self._reported_at = now
        throttled = self._throttled_lately(now)
        queues, is_shared = self._budget.queues()
        groups = {}
        for group, quota in self._budget.quotas.items():
            turns = self._budget.turns.of(group)
            used_per_second = (turns.granted - self._granted[group]) / period_s
            self._granted[group] = turns.granted
            groups[group] = {
                "per_second": quota.per_second,
                "burst": quota.burst,
                "used_per_second": used_per_second,
                "turns": turns.granted,
                "waits": turns.waits,
                "waited_s": turns.waited_s,
                "waiting": queues[group].waiting,
                "tokens": queues[group].tokens,
                "throttled_10_min": throttled[group],
            }
        return {"ecs": self._ecs.calls.report(), "budget": {"shared": is_shared, "groups": groups}}

    def _throttled_lately(self, now: float) -> Counter[str]:
        throttles = self._ecs.calls.throttles()
        added: Counter[str] = Counter()
        for operation, count in (throttles - self._throttles).items():
            added[GROUP_OF[operation]] += count
        self._throttles = throttles
        self._throttled.append((now, added))
        while self._throttled[0][0] <= now - RECENT_S:
            self._throttled.popleft()
        return sum((counts for _, counts in self._throttled), Counter())
