"""Take turns at a budget."""

from worker.ecs.budget import Budget, BudgetSpent, on_behalf_of
from worker.ecs.turns import Priority


def take(
    budget: Budget,
    charger_id: str,
    operation: str = "UpdateService",
    *,
    organization: str = "org",
    priority: Priority = Priority.LIFECYCLE,
) -> float:
    """Take a turn for the charger. Returns the seconds to wait; 0 when it was granted."""
    try:
        with on_behalf_of(charger_id, organization, priority):
            budget.take(operation)
    except BudgetSpent as spent:
        return spent.delay_s
    return 0
