"""Hosts beside others: 1,000 shared chargers with Amazon's quotas, and stops and starts of another organization meanwhile."""

from statistics import median
from time import monotonic, sleep

import httpx

from bench.report import Budget, Report, Table
from bench.support.hosting import Rig, locate, running_rig
from bench.support.stack import command_times, create_charger, send_command, wait_until_settled

CHARGERS = 1_000
EVERY_S = 2.0  # between two commands of the other organization
ALONE_S = 20.0
WITHIN_S = 180.0
#: Amazon's quotas at the share that ships: one task definition and five services a second, after some at once.
SETTINGS = {"ECS_BUDGET_SHARE": "0.9"}


def measure() -> Report:
    with (
        running_rig(**SETTINGS) as rig,
        rig.stack.client("bench") as client,
        rig.stack.client("quiet") as other,
    ):
        charger_id = create_charger(other, "CP-1", ws_url=rig.ws_url)
        wait_until_settled(rig.stack.engine, 120)
        location_id = locate(client)
        alone_s, _ = _commands(rig, other, charger_id, monotonic() + ALONE_S)
        began = monotonic()
        rig.create(client, location_id, CHARGERS, "shared")
        beside_s, accepted_at = _commands(rig, other, charger_id, monotonic() + WITHIN_S, CHARGERS)
        calls = rig.stack.ecs_calls()
    services = sum(call == "CreateService" for call in calls)
    return _report(accepted_at - began, alone_s, beside_s, services)


def _commands(
    rig: Rig, client: httpx.Client, charger_id: str, until: float, count: int | None = None
) -> tuple[list[float], float]:
    """Stop and start the charger by turns until then, or until so many shared ones are accepted.

    Returns the seconds until ECS had accepted each, and when it ended. Raises TimeoutError.
    """
    commands: list[str] = []
    due_at = monotonic()
    while monotonic() < until:
        if monotonic() >= due_at:
            commands.append(send_command(client, charger_id, "start" if len(commands) % 2 else "stop"))
            due_at += EVERY_S
        if count is not None and rig.count("accepted") == count:
            break
        sleep(0.1)
    else:
        if count is not None:
            raise TimeoutError(f"{rig.count('accepted'):,} of {count:,} are accepted")
    ended_at = monotonic()
    return [applied_s for applied_s, _ in command_times(rig.stack.engine, commands)], ended_at


def _report(accepted_s: float, alone_s: list[float], beside_s: list[float], services: int) -> Report:
    commands = [
        (name, f"{median(some):.2f}", f"{max(some):.2f}", str(len(some)))
        for name, some in (("alone", alone_s), ("while the chargers come", beside_s))
    ]
    return Report(
        tables=[
            Table(
                ("chargers", "create s", "calls of CreateService in all"),
                [(f"{CHARGERS:,} shared", f"{accepted_s:.1f}", str(services))],
            ),
            Table(("commands of another organization", "median s", "slowest s", "commands"), commands),
        ],
        budgets=[
            Budget(
                "1,000 shared chargers, created and accepted, s",
                accepted_s,
                at_most=60,
                reason="as services of their own they need 200 s of Amazon's calls",
            ),
            Budget(
                "slowest command of another organization until ECS has it, s",
                max(beside_s),
                at_most=3,
                reason="a job holds up nobody's stop",
            ),
        ],
    )
