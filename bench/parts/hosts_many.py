"""Hosts at full size: 10,000 shared chargers by one request, and what reads of another organization notice of them.

Everything is on this machine: stores, API, workers, the control link, the embedded ECS with ten hosts, and the CSMS.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from threading import Event
from time import monotonic, sleep
from urllib.parse import urlsplit

from bench.report import Budget, Report, Table
from bench.support.cpu import Meter
from bench.support.hosting import Rig, locate, memory_mib, running_rig
from bench.support.load import Load, add_up, drive_at_rate, get
from bench.support.servers import token
from bench.support.stack import create_charger, wait_until_settled

CHARGERS = 10_000
OTHERS = 10  # chargers of the other organization
PER_S = 25.0  # its reads
WINDOW_S = 3.0
ALONE_S = 24.0  # for which it is measured before, and when all run
SETTLED_S = 15.0  # before memory is read
POLL_S = 0.5  # counting ten thousand rows takes milliseconds
WITHIN_S = 280.0


def measure() -> Report:
    with (
        running_rig() as rig,
        rig.stack.client("bench") as client,
        rig.stack.client("quiet") as quiet,
    ):
        ids = [create_charger(quiet, f"CP-{number}", ws_url=rig.ws_url) for number in range(OTHERS)]
        wait_until_settled(rig.stack.engine, 120)
        others_mib = memory_mib()
        location_id = locate(client)
        requests = _requests(ids)
        _window(rig, requests)  # its connections are new to the server
        alone = _for_a_while(rig, requests)
        meter = Meter(rig.stack.processes)
        with meter.running():
            placed_s, create_s, coming = _beside(
                rig,
                requests,
                lambda: rig.create(client, location_id, CHARGERS, "shared"),
                "placed",
                "accepted",
            )
        wait_until_settled(rig.stack.engine, WITHIN_S)
        sleep(SETTLED_S)
        mib = memory_mib() - others_mib
        running = _for_a_while(rig, requests)
        stop = f"/ocpp/locations/{location_id}/stop-chargers"
        _, stop_s, stopping = _beside(
            rig, requests, lambda: client.post(stop, json={}).raise_for_status(), "placed", "stopped"
        )
        sessions_of_one = rig.most_sessions_of_one()
    loads = {
        "alone": alone,
        "while they come": coming,
        "while all run": running,
        "while they stop": stopping,
    }
    return _report((placed_s, create_s, stop_s), mib, loads, meter, sessions_of_one)


def _requests(ids: Sequence[str]) -> Iterator[bytes]:
    """Reads of the other organization: a charger, and a page of the list."""
    bearer = token("quiet")
    paths = [f"/ocpp/chargers/{charger_id}" for charger_id in ids] + ["/ocpp/chargers?limit=10"]
    return cycle([get(path, bearer) for path in paths])


def _window(rig: Rig, requests: Iterator[bytes]) -> Load:
    port = urlsplit(rig.stack.api_url).port or 0
    return drive_at_rate(port, requests, per_s=PER_S, seconds=WINDOW_S, status=200)


def _for_a_while(rig: Rig, requests: Iterator[bytes]) -> Load:
    return add_up([_window(rig, requests) for _ in range(int(ALONE_S / WINDOW_S))])


def _beside(
    rig: Rig, requests: Iterator[bytes], request: Callable[[], object], first: str, last: str
) -> tuple[float, float, Load]:
    """Seconds from the request until all chargers are in the first state and in the last, and the reads meanwhile."""
    ended = Event()
    loads: list[Load] = []

    def read() -> None:
        while not ended.is_set():
            loads.append(_window(rig, requests))

    with ThreadPoolExecutor(1) as pool:
        began = monotonic()
        request()
        reading = pool.submit(read)
        try:
            first_s, last_s = (_wait_for(rig, state, began) for state in (first, last))
        finally:
            ended.set()
        reading.result()
    return first_s, last_s, add_up(loads)


def _wait_for(rig: Rig, state: str, began: float) -> float:
    """Seconds since then when all chargers are in that state. Raises TimeoutError."""
    while rig.count(state) < CHARGERS:
        if monotonic() - began > WITHIN_S:
            raise TimeoutError(f"{rig.count(state):,} of {CHARGERS:,} are {state}")
        sleep(POLL_S)
    return monotonic() - began


def _report(
    times: tuple[float, float, float], mib: float, loads: dict[str, Load], meter: Meter, sessions_of_one: int
) -> Report:
    placed_s, create_s, stop_s = times
    reads = [
        (
            name,
            f"{load.p50_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{max(load.latencies_ms):.0f}",
            f"{load.requests:,}",
        )
        for name, load in loads.items()
    ]
    spent = [(f"for {create_s:.0f} s", *(f"{spent_s:.0f}" for spent_s in meter.spent_s.values()))]
    return Report(
        tables=[
            Table(
                ("chargers", "placed s", "create s", "stop all s", "MiB of their processes"),
                [
                    (
                        f"{CHARGERS:,} shared",
                        f"{placed_s:.0f}",
                        f"{create_s:.0f}",
                        f"{stop_s:.0f}",
                        f"{mib:,.0f}",
                    )
                ],
            ),
            Table(("reads of another organization", "p50 ms", "p99 ms", "slowest ms", "requests"), reads),
            Table(("CPU seconds while they come", *meter.spent_s), spent),
        ],
        budgets=[
            Budget(
                "10,000 shared chargers, created and accepted, s",
                create_s,
                at_most=180,
                reason="a test of ten thousand begins within a short break",
            ),
            Budget("memory of their processes, MiB", mib, at_most=1024, reason="a laptop has room for them"),
            Budget(
                "p99 of the reads while they come, ms",
                loads["while they come"].p99_ms,
                at_most=200,
                reason="a click is answered at once for who makes it, although the chargers take both cores",
            ),
            Budget(
                "p99 of the reads while all run, ms",
                loads["while all run"].p99_ms,
                at_most=100,
                reason="half of that when no charger starts or stops",
            ),
            Budget(
                "connections of one identity at once",
                sessions_of_one,
                at_most=1,
                reason="never two sessions of one identity",
            ),
        ],
    )
