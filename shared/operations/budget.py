"""How much of Amazon's rate quotas all workers together use, from their reports."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from shared.operations.processes import SeenWorker

RECENT_S = timedelta(minutes=10).total_seconds()


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """The use of one quota, a group of ECS operations."""

    group: str
    per_second: float  #: the part of Amazon's rate that this installation may use
    burst: float
    used_per_second: float  #: in the last period of the workers' reports
    waiting: int  #: commands whose calls wait for their turn
    throttled_10_min: int  #: calls that Amazon refused as too many
    eta_s: float | None  #: until all that wait have had their turn; None when nothing waits


def budget_use(workers: Sequence[SeenWorker]) -> list[BudgetUse]:
    """By group, in the order of the reports. Empty without a report of a living worker, or with the budget off."""
    alive = [worker for worker in workers if worker.alive]
    groups = dict.fromkeys(group for worker in alive for group in worker.budget.get("groups", {}))
    return [_use(group, workers, alive) for group in groups]


def _use(group: str, workers: Sequence[SeenWorker], alive: Sequence[SeenWorker]) -> BudgetUse:
    reports = [(worker, worker.budget["groups"][group]) for worker in alive if group in _groups(worker)]
    newest, quota = min(reports, key=lambda each: each[0].age_s)
    waiting: float
    # The queue in Redis is that of all workers; without Redis each has its own.
    if newest.budget.get("shared"):
        waiting, tokens = quota["waiting"], quota["tokens"]
    else:
        waiting = sum(report["waiting"] for _, report in reports)
        tokens = sum(report["tokens"] for _, report in reports)
    recent = [worker for worker in workers if worker.age_s < RECENT_S and group in _groups(worker)]
    rate = float(quota["per_second"])
    return BudgetUse(
        group=group,
        per_second=rate,
        burst=float(quota["burst"]),
        used_per_second=sum(report["used_per_second"] for _, report in reports),
        waiting=int(waiting),
        throttled_10_min=int(sum(_groups(worker)[group]["throttled_10_min"] for worker in recent)),
        eta_s=max(0.0, waiting - tokens) / rate if waiting else None,
    )


def _groups(worker: SeenWorker) -> dict[str, dict[str, float]]:
    groups: dict[str, dict[str, float]] = worker.budget.get("groups", {})
    return groups
