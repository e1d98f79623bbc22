"""Ramp: 300 starts at 2 a second with Amazon's quotas, and stops and starts of another organization meanwhile.

The chargers are created and stopped first. The charger processes only sleep.
"""

from collections.abc import Sequence
from datetime import datetime
from statistics import median
from time import monotonic, sleep

import httpx

from bench.report import Budget, Report, Table
from bench.support.stack import (
    Stack,
    command_times,
    create_charger,
    running_stack,
    send_command,
    wait_until,
    wait_until_settled,
)

CHARGERS = 300
RATE = 2.0  # starts per second
EVERY_S = 2.0  # between two commands of the other organization
CREATED_WITHIN_S = 600.0
ENDED_WITHIN_S = 120.0  # after the time that the ramp takes
PAGE = 100
#: Amazon's quotas at the share that ships, but for task definitions: each charger has one, at 0.9 a second.
SETTINGS = {
    "ECS_BUDGET_SHARE": "0.9",
    "ECS_QUOTAS": "definition_changes=50/500",
    "ECS_EMBEDDED_TASK_COMMAND": "sleep 3600",
}


def measure() -> Report:
    with (
        running_stack(with_link=False, **SETTINGS) as stack,
        stack.client("ramp") as client,
        stack.client("quiet") as other,
    ):
        charger_id = create_charger(other, "CP-1")
        for number in range(CHARGERS):
            create_charger(client, f"RAMP-{number:03}")
        wait_until_settled(stack.engine, CREATED_WITHIN_S)
        _wait_for(client, _request(client, "stop"), CREATED_WITHIN_S)
        sleep(20)  # until the bucket is full again
        before_s = _commands_beside(stack, other, charger_id, monotonic() + 20)
        job_id = _request(client, "start", rate_per_second=RATE)
        beside_s = _commands_beside(stack, other, charger_id, monotonic() + CHARGERS / RATE)
        _wait_for(client, job_id, ENDED_WITHIN_S)
        items = _items(client, job_id)
    return _report(items, before_s, beside_s)


def _request(client: httpx.Client, verb: str, **more: float) -> str:
    """Returns the job's id."""
    answer = client.post(f"/ocpp/chargers/{verb}", json={"filters": {}, **more}).raise_for_status()
    return str(answer.json()["job_id"])


def _wait_for(client: httpx.Client, job_id: str, within_s: float) -> None:
    def is_final() -> bool:
        answer = client.get(f"/ocpp/jobs/{job_id}?wait=20").raise_for_status()
        return answer.json()["finished_at"] is not None

    wait_until(is_final, within_s)


def _items(client: httpx.Client, job_id: str) -> list[dict[str, str]]:
    items: list[dict[str, str]] = []
    for page in range(1, CHARGERS // PAGE + 1):
        answer = client.get(f"/ocpp/jobs/{job_id}/items", params={"page": page, "limit": PAGE})
        items += answer.raise_for_status().json()["data"]
    return items


def _commands_beside(stack: Stack, client: httpx.Client, charger_id: str, until: float) -> list[float]:
    """Stop and start the charger by turns until then. Returns the seconds until ECS had accepted each."""
    commands: list[str] = []
    due_at = monotonic()
    while due_at < until:
        sleep(max(0.0, due_at - monotonic()))
        commands.append(send_command(client, charger_id, "start" if len(commands) % 2 else "stop"))
        due_at += EVERY_S
    return [applied_s for applied_s, _ in command_times(stack.engine, commands)]


def _report(items: Sequence[dict[str, str]], before_s: Sequence[float], beside_s: Sequence[float]) -> Report:
    requested = sorted(datetime.fromisoformat(item["requested_at"]) for item in items)
    took_s = (requested[-1] - requested[0]).total_seconds()
    planned_s = (len(items) - 1) / RATE
    most_late_s = max(
        abs((moment - requested[0]).total_seconds() - place / RATE) for place, moment in enumerate(requested)
    )
    ended_s = max(
        (
            datetime.fromisoformat(item["finished_at"]) - datetime.fromisoformat(item["requested_at"])
        ).total_seconds()
        for item in items
    )
    succeeded = sum(item["result"] == "succeeded" for item in items)
    commands = [
        (name, f"{median(some):.2f}", f"{max(some):.2f}", str(len(some)))
        for name, some in (("before the ramp", before_s), ("during the ramp", beside_s))
    ]
    return Report(
        tables=[
            Table(
                (
                    "the ramp",
                    "starts",
                    "succeeded",
                    "first to last s",
                    "planned s",
                    "most off plan s",
                    "slowest start s",
                ),
                [
                    (
                        f"{RATE:g} a second",
                        str(len(items)),
                        str(succeeded),
                        f"{took_s:.1f}",
                        f"{planned_s:.1f}",
                        f"{most_late_s:.2f}",
                        f"{ended_s:.1f}",
                    )
                ],
            ),
            Table(("commands of another organization", "median s", "slowest s", "commands"), commands),
        ],
        budgets=[
            Budget(
                "time of the ramp, off its plan by a share of",
                abs(took_s - planned_s) / planned_s,
                at_most=0.05,
                reason="a load test of a CSMS is as fast as its ramp",
            ),
            Budget(
                "slowest command of another organization during the ramp, s",
                max(beside_s),
                at_most=3,
                reason="a job holds up nobody's stop",
            ),
        ],
    )
