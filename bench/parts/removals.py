"""Removals: how fast 10 chargers start with the rate budget on, alone and while 50 others are deleted.

The charger processes only sleep, which leaves the two cores to what is measured: the path of a start to ECS and back.
"""

from collections.abc import Sequence
from statistics import median
from time import sleep

import httpx
from sqlalchemy import Engine

from bench.report import Budget, Report, Table
from bench.support.stack import (
    command_times,
    create_charger,
    running_stack,
    send_command,
    wait_until_settled,
)

STARTS = 10
REMOVALS = 50
ROUNDS = 2
#: Fills the bucket before each measurement: 45 service changes at 4.5 per second.
REST_S = 11
#: Amazon's quotas at the share that ships, and charger processes that only sleep.
AMAZON = {"ECS_BUDGET_SHARE": "0.9", "ECS_EMBEDDED_TASK_COMMAND": "sleep 3600"}
#: Both from docs/reliability.md.
REASON = "1.8 without priorities in the rate budget and the worker's queue; 1 is the aim"


def measure() -> Report:
    alone: list[tuple[float, float]] = []
    beside: list[tuple[float, float]] = []
    # At Amazon's rate for task definitions, creating the chargers would take minutes.
    with (
        running_stack(with_link=False, **AMAZON, ECS_QUOTAS="definition_changes=50/500") as stack,
        stack.client("org") as org,
    ):
        engine = stack.engine
        few = [create_charger(org, f"CP-{number}") for number in range(STARTS)]
        for turn in range(ROUNDS):
            many = [create_charger(org, f"OLD-{turn}-{number}") for number in range(REMOVALS)]
            wait_until_settled(engine, 120)
            alone += _starts(org, engine, few, [])
            beside += _starts(org, engine, few, many)
    return _report(alone, beside)


def _starts(
    org: httpx.Client, engine: Engine, few: Sequence[str], many: Sequence[str]
) -> list[tuple[float, float]]:
    for charger_id in few:
        send_command(org, charger_id, "stop")
    wait_until_settled(engine, 60)
    sleep(REST_S)
    for charger_id in many:
        org.delete(f"/ocpp/chargers/{charger_id}").raise_for_status()
    starts = [send_command(org, charger_id, "start") for charger_id in few]
    return command_times(engine, starts)


def _report(alone: Sequence[tuple[float, float]], beside: Sequence[tuple[float, float]]) -> Report:
    rows = [
        (
            name,
            f"{median(applied_s for applied_s, _ in some):.2f}",
            f"{max(applied_s for applied_s, _ in some):.2f}",
            f"{median(finished_s for _, finished_s in some):.2f}",
            f"{max(finished_s for _, finished_s in some):.2f}",
        )
        for name, some in ((f"{STARTS} starts", alone), (f"beside {REMOVALS} removals", beside))
    ]
    slower = median(finished_s for _, finished_s in beside) / median(finished_s for _, finished_s in alone)
    head = ("", "at ECS, median s", "at ECS, last s", "succeeded, median s", "succeeded, last s")
    return Report(
        tables=[Table(head, rows)],
        budgets=[
            Budget(
                "median until a start succeeded beside removals, times alone",
                slower,
                at_most=1.5,
                reason=REASON,
            )
        ],
    )
