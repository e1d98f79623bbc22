"""Expiry: how long after their time 200 chargers are hidden from clients, and how long until nothing is left in ECS.

The charger processes only sleep. A charger's row is removed when ECS has nothing of it any more.
"""

from statistics import median

from sqlalchemy import Engine, text

from bench.report import Budget, Report, Table
from bench.support.stack import create_charger, running_stack, wait_until, wait_until_settled

CHARGERS = 200
UNLIMITED = {"ECS_EMBEDDED_TASK_COMMAND": "sleep 3600"}
#: Amazon's quotas at the share that ships; at its rate for task definitions, creating the chargers would take minutes.
AMAZON = {**UNLIMITED, "ECS_BUDGET_SHARE": "0.9", "ECS_QUOTAS": "definition_changes=50/500"}
REASON = "within a minute of their time"
END = text("UPDATE chargers SET expires_at = now() RETURNING expires_at")
LEFT = text("SELECT count(*) FROM chargers")
TIMES = text("""
    SELECT extract(epoch FROM deleted_at - CAST(:ended_at AS timestamptz)) AS hidden_s,
        extract(epoch FROM removed_at - CAST(:ended_at AS timestamptz)) AS gone_s
    FROM removed_chargers
""")


def measure() -> Report:
    rows: list[tuple[str, ...]] = []
    budgets = []
    for name, settings in (("without quotas", UNLIMITED), ("at Amazon's quotas", AMAZON)):
        with running_stack(with_link=False, **settings) as stack, stack.client("org") as org:
            for number in range(CHARGERS):
                create_charger(org, f"CP-{number}")
            wait_until_settled(stack.engine, 300)
            times = _expire(stack.engine)
        hidden, gone = zip(*times, strict=True)
        rows.append(
            (name, *(f"{value:.1f}" for some in (hidden, gone) for value in (median(some), max(some))))
        )
        budgets.append(
            Budget(f"s until the last of {CHARGERS} is gone, {name}", max(gone), at_most=60, reason=REASON)
        )
    head = ("", "hidden, median s", "hidden, last s", "gone, median s", "gone, last s")
    return Report(tables=[Table(head, rows)], budgets=budgets)


def _expire(engine: Engine) -> list[tuple[float, float]]:
    """End the time of all chargers now. Returns for each the seconds until it was hidden, and until it was gone."""
    with engine.begin() as connection:
        ended_at = connection.execute(END).first()
    assert ended_at is not None

    def are_gone() -> bool:
        with engine.connect() as connection:
            return not connection.scalar(LEFT)

    wait_until(are_gone, 300)
    with engine.connect() as connection:
        rows = connection.execute(TIMES, {"ended_at": ended_at.expires_at})
        return [(float(row.hidden_s), float(row.gone_s)) for row in rows]
