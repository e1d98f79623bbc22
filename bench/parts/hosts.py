"""Hosts: 1,000 shared chargers in one task, beside dedicated ones in the same run.

One request creates them, one stops and one starts all, and one of them restarts while the others run. Everything is on this
machine: stores, API, workers, the control link, the embedded ECS and a CSMS that costs little.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import monotonic, sleep

import httpx
import psutil
from sqlalchemy import text

from bench.report import Budget, Report, Table
from bench.support.servers import running_process, running_stores
from bench.support.stack import Stack, running_stack, wait_until
from embedded.ports import HOST, answers, free_port
from embedded.process import Program

SHARED = 1_000
DEDICATED = 50
RESTARTS = 20
SETTLED_S = 15.0  # before memory is read
WITHIN_S = 300.0

STATES = text("""
    SELECT count(*) FILTER (WHERE ocpp_state = 'accepted' AND running_count = 1) AS accepted,
        count(*) FILTER (WHERE running_count = 0 AND observed_generation = generation) AS stopped
    FROM chargers WHERE placement = :placement AND deleted_at IS NULL
""")
OPEN = text("SELECT count(*) FROM commands WHERE finished_at IS NULL")


@dataclass(frozen=True, slots=True)
class Times:
    """Of one placement. In seconds, unless the name says otherwise."""

    chargers: int
    create: float
    stop: float
    start: float
    restart: float
    restart_slowest: float
    mib: float


def measure() -> Report:
    with running_stores() as own:
        port = free_port()
        argv = (sys.executable, "-m", "bench.support.light_csms", "--port", str(port))
        program = Program("csms", argv, is_ready=answers(f"http://{HOST}:{port}/"))
        with running_process(program, own.folder), running_stack(with_link=True) as stack:
            with stack.client("bench") as client:
                dedicated = _measure(stack, client, port, "dedicated", DEDICATED)
                shared = _measure(stack, client, port, "shared", SHARED)
            sessions_of_one = httpx.get(f"http://{HOST}:{port}/", trust_env=False).json()["most_of_one"]
    return _report(shared, dedicated, sessions_of_one)


def _measure(stack: Stack, client: httpx.Client, csms_port: int, placement: str, count: int) -> Times:
    """All that one placement is measured by; its chargers are gone afterwards."""
    location_id = _locate(client)
    template = {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": f"ws://{HOST}:{csms_port}/ocpp",
        "identity_prefix": f"{placement}-",
        "placement": placement,
    }
    group = {"template": template, "charger_ids": [f"{number:04}" for number in range(count)]}
    path = f"/ocpp/locations/{location_id}"

    def until_all(state: str, request: Callable[[], httpx.Response]) -> float:
        began = monotonic()
        request().raise_for_status()
        wait_until(lambda: _count(stack, placement, state) == count, WITHIN_S)
        return monotonic() - began

    create_s = until_all("accepted", lambda: client.post(f"{path}/chargers", json=[group]))
    _settle(stack)
    sleep(SETTLED_S)
    mib = _memory_mib()
    some = client.get(f"{path}/chargers?limit=100").raise_for_status().json()["data"]
    restarts = [_restart(client, row["id"]) for row in some[:RESTARTS]]
    stop_s = until_all("stopped", lambda: client.post(f"{path}/stop-chargers", json={}))
    start_s = until_all("accepted", lambda: client.post(f"{path}/start-chargers", json={}))
    client.delete(path).raise_for_status()
    wait_until(lambda: not _left(stack, placement), WITHIN_S)
    return Times(count, create_s, stop_s, start_s, median(restarts), max(restarts), mib)


def _restart(client: httpx.Client, charger_id: str) -> float:
    """Seconds from the request until the CSMS has accepted the charger's next boot."""
    began = monotonic()
    answer = client.post(f"/ocpp/chargers/{charger_id}/restart-charger?wait=20&until=accepted")
    if answer.status_code != 200:
        raise RuntimeError(f"the charger was not accepted in time: {answer.text}")
    return monotonic() - began


def _count(stack: Stack, placement: str, state: str) -> int:
    with stack.engine.connect() as connection:
        return int(getattr(connection.execute(STATES, {"placement": placement}).one(), state))


def _left(stack: Stack, placement: str) -> int:
    with stack.engine.connect() as connection:
        rows = text("SELECT count(*) FROM chargers WHERE placement = :placement")
        return int(connection.execute(rows, {"placement": placement}).scalar_one())


def _settle(stack: Stack) -> None:
    def settled() -> bool:
        with stack.engine.connect() as connection:
            return not connection.scalar(OPEN)

    wait_until(settled, WITHIN_S)


def _memory_mib() -> float:
    """Proportional set size of all processes of chargers on this machine's stack."""
    size = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "simulator" in " ".join(process.cmdline()):
                size += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return size / 2**20


def _locate(client: httpx.Client) -> str:
    body = {
        "name": "North",
        "address": "1",
        "city": "Hamburg",
        "country": "DE",
        "coordinates": {"latitude": 53.6, "longitude": 10.0},
    }
    return str(client.post("/ocpp/locations", json=body).raise_for_status().json()["id"])


def _report(shared: Times, dedicated: Times, sessions_of_one: int) -> Report:
    rows = [
        (
            f"{times.chargers:,} {name}",
            f"{times.create:.1f}",
            f"{times.stop:.1f}",
            f"{times.start:.1f}",
            f"{times.restart:.2f}",
            f"{times.restart_slowest:.2f}",
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
        "slowest s",
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
