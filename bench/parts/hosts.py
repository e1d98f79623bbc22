"""Hosts: 1,000 shared chargers in one task, beside dedicated ones in the same run.

One request creates them, one stops and one starts all, and one of them restarts while the others run. Everything is on this
machine: stores, API, workers, the control link, the embedded ECS and a CSMS that costs little.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from time import monotonic, sleep, time

import httpx

from bench.report import Budget, Report, Table
from bench.support.hosting import Rig, locate, memory_mib, running_rig
from bench.support.stack import wait_until, wait_until_settled

SHARED = 1_000
DEDICATED = 50
RESTARTS = 20
SETTLED_S = 15.0  # before memory is read
WITHIN_S = 300.0


@dataclass(frozen=True, slots=True)
class Times:
    """Of one placement. In seconds, unless the name says otherwise."""

    chargers: int
    create: float
    stop: float
    start: float
    restart: float
    answer: float  #: of the restart's request
    mib: float


def measure() -> Report:
    with running_rig() as rig, rig.stack.client("bench") as client:
        dedicated = _measure(rig, client, "dedicated", DEDICATED)
        shared = _measure(rig, client, "shared", SHARED)
        sessions_of_one = rig.most_sessions_of_one()
    return _report(shared, dedicated, sessions_of_one)


def _measure(rig: Rig, client: httpx.Client, placement: str, count: int) -> Times:
    """All that one placement is measured by; its chargers are gone afterwards."""
    location_id = locate(client)
    path = f"/ocpp/locations/{location_id}"

    def until_all(state: str, request: Callable[[], object]) -> float:
        began = monotonic()
        request()
        wait_until(lambda: rig.count(state, placement) == count, WITHIN_S)
        return monotonic() - began

    create_s = until_all("accepted", lambda: rig.create(client, location_id, count, placement))
    wait_until_settled(rig.stack.engine, WITHIN_S)
    sleep(SETTLED_S)
    mib = memory_mib()
    some = client.get(f"{path}/chargers?limit=100").raise_for_status().json()["data"]
    restarts = [_restart(client, row["id"]) for row in some[:RESTARTS]]
    stop_s = until_all("stopped", lambda: client.post(f"{path}/stop-chargers", json={}).raise_for_status())
    start_s = until_all("accepted", lambda: client.post(f"{path}/start-chargers", json={}).raise_for_status())
    client.delete(path).raise_for_status()
    wait_until(lambda: not rig.count("every", placement), WITHIN_S)
    restart_s, answer_s = (median(column) for column in zip(*restarts, strict=True))
    return Times(count, create_s, stop_s, start_s, restart_s, answer_s, mib)


def _restart(client: httpx.Client, charger_id: str) -> tuple[float, float]:
    """Seconds from the request until the CSMS has accepted the charger's next boot, and until the request's answer says so."""
    began, began_at = monotonic(), time()
    answer = client.post(f"/ocpp/chargers/{charger_id}/restart-charger?wait=20&until=accepted")
    if answer.status_code != 200:
        raise RuntimeError(f"the charger was not accepted in time: {answer.text}")
    answered_s = monotonic() - began
    since = client.get(f"/ocpp/chargers/{charger_id}").raise_for_status().json()["runtime"]["ocpp"]["since"]
    return datetime.fromisoformat(since).timestamp() - began_at, answered_s


def _report(shared: Times, dedicated: Times, sessions_of_one: int) -> Report:
    rows = [
        (
            f"{times.chargers:,} {name}",
            f"{times.create:.1f}",
            f"{times.stop:.1f}",
            f"{times.start:.1f}",
            f"{times.restart:.2f}",
            f"{times.answer:.2f}",
            f"{times.mib:,.0f}",
        )
        for name, times in (("shared", shared), ("dedicated", dedicated))
    ]
    head = (
        "chargers",
        "create s",
        "stop all s",
        "start all s",
        "restart one s",
        "its answer s",
        "MiB of their processes",
    )
    return Report(
        tables=[Table(head, rows)],
        budgets=[
            Budget(
                "1,000 shared chargers, created and accepted, s",
                shared.create,
                at_most=15,
                reason="200 starts a second, the start of the host, and as long again for the rows",
            ),
            Budget(
                "memory of their processes, MiB",
                shared.mib,
                at_most=150,
                reason="a laptop has room for ten thousand",
            ),
            Budget("stop all, s", shared.stop, at_most=10, reason="a test's end should not be waited for"),
            Budget("start all, s", shared.start, at_most=15, reason="as the create"),
            Budget(
                "restart one while the others run, s",
                shared.restart,
                at_most=0.5,
                reason="no call of ECS is in it",
            ),
            Budget(
                "connections of one identity at once",
                sessions_of_one,
                at_most=1,
                reason="never two sessions of one identity",
            ),
        ],
    )
