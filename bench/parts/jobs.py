"""Jobs: how fast a request for 1,000 new chargers is accepted, and what other clients notice while workers create them.

The other clients belong to another organization. ECS has Amazon's quota for services, and creates task definitions faster
than Amazon's, so that the job takes minutes; the charger processes only sleep.
"""

from collections.abc import Iterator, Sequence
from itertools import cycle
from statistics import median
from time import monotonic, perf_counter
from urllib.parse import urlsplit

import httpx

from bench.report import Budget, Report, Table
from bench.support.cpu import Meter
from bench.support.hosting import locate
from bench.support.load import Load, add_up, drive_at_rate, get
from bench.support.servers import token
from bench.support.stack import (
    Stack,
    create_charger,
    running_stack,
    wait_until,
    wait_until_settled,
)

CHARGERS = 1_000
ACCEPTED = 20  # jobs
OTHERS = 10  # chargers of the other clients
PER_S = 25.0  # requests of the other clients
WINDOW_S = 10.0
WINDOWS = 5
WITHIN_S = 900.0
#: Amazon's quotas at the share that ships, but for task definitions: at Amazon's rate the job would take a quarter of an hour.
SETTINGS = {
    "ECS_BUDGET_SHARE": "0.9",
    "ECS_QUOTAS": "definition_changes=50/500",
    "ECS_EMBEDDED_TASK_COMMAND": "sleep 3600",
    "OPEN_JOBS_PER_ORGANIZATION": "1000",
}


def measure() -> Report:
    with (
        running_stack(with_link=False, **SETTINGS) as stack,
        stack.client("bulk") as bulk,
        stack.client("quiet") as quiet,
    ):
        ids = [create_charger(quiet, f"CP-{number}") for number in range(OTHERS)]
        wait_until_settled(stack.engine, 120)
        location_id = locate(bulk)
        single_ms, many_ms = _accept(bulk, location_id)
        requests = _requests(ids)
        _window(stack, requests)  # its connections are new to the server
        meter = Meter(stack.processes)
        alone = add_up([_window(stack, requests) for _ in range(WINDOWS)])
        began = monotonic()
        status_url = _create(bulk, location_id, "MANY-")
        with meter.running():
            beside = add_up([_window(stack, requests) for _ in range(WINDOWS)])
        counts = _wait_for(bulk, status_url)
        lasted_s = monotonic() - began
    return _report((single_ms, many_ms), (alone, beside), meter, counts, lasted_s)


def _accept(client: httpx.Client, location_id: str) -> tuple[list[float], list[float]]:
    """The times in which a single create and a job of many are accepted, by turns. The jobs are cancelled at once."""
    single_ms, many_ms = [], []
    for number in range(ACCEPTED):
        began = perf_counter()
        create_charger(client, f"ONE-{number}")
        single_ms.append(1000 * (perf_counter() - began))
        began = perf_counter()
        status_url = _create(client, location_id, f"TURN-{number}-", "?rate_per_second=0.01")
        many_ms.append(1000 * (perf_counter() - began))
        client.post(f"/ocpp/jobs/{status_url.rpartition('/')[2]}/cancel").raise_for_status()
    return single_ms, many_ms


def _create(client: httpx.Client, location_id: str, prefix: str, query: str = "") -> str:
    """Returns the path of the job's status."""
    template = {
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://localhost:9/ocpp",
        "identity_prefix": prefix,
        "template_name": "Bay",
    }
    suffixes = [f"{place:04}" for place in range(CHARGERS)]
    groups = [{"template": template, "charger_ids": suffixes}]
    path = f"/ocpp/locations/{location_id}/chargers{query}"
    return str(client.post(path, json=groups).raise_for_status().json()["status_url"])


def _requests(ids: Sequence[str]) -> Iterator[bytes]:
    """Reads of the other clients: a charger, and a page of the list."""
    bearer = token("quiet")
    paths = [f"/ocpp/chargers/{charger_id}" for charger_id in ids] + ["/ocpp/chargers?limit=10"]
    return cycle([get(path, bearer) for path in paths])


def _window(stack: Stack, requests: Iterator[bytes]) -> Load:
    port = urlsplit(stack.api_url).port or 0
    return drive_at_rate(port, requests, per_s=PER_S, seconds=WINDOW_S, status=200)


def _wait_for(client: httpx.Client, status_url: str) -> dict[str, int]:
    """The counts of the job when it is final."""
    found: dict[str, dict[str, int]] = {}

    def is_final() -> bool:
        answer = client.get(f"{status_url}?wait=20").raise_for_status().json()
        found["counts"] = answer["counts"]
        return bool(answer["status"] == "READY")

    wait_until(is_final, WITHIN_S)
    return found["counts"]


def _report(
    accepted: tuple[Sequence[float], Sequence[float]],
    loads: tuple[Load, Load],
    meter: Meter,
    counts: dict[str, int],
    lasted_s: float,
) -> Report:
    single_ms, many_ms = accepted
    alone, beside = loads
    times = [
        (name, f"{median(some):.1f}", f"{max(some):.1f}", str(len(some)))
        for name, some in ((f"a job of {CHARGERS:,} new chargers", many_ms), ("a single create", single_ms))
    ]
    reads = [
        (
            name,
            f"{load.p50_ms:.1f}",
            f"{load.p99_ms:.1f}",
            f"{max(load.latencies_ms):.0f}",
            f"{load.requests:,}",
        )
        for name, load in (("alone", alone), ("beside the job", beside))
    ]
    return Report(
        tables=[
            Table(("accepted", "median ms", "slowest ms", "requests"), times),
            Table(("reads of another organization", "p50 ms", "p99 ms", "slowest ms", "requests"), reads),
            Table(
                ("CPU beside the job", *meter.spent_s),
                [
                    (
                        "% of a core",
                        *(f"{100 * spent_s / beside.seconds:.0f}" for spent_s in meter.spent_s.values()),
                    )
                ],
            ),
            Table(
                ("the job", "seconds", "created", "failed"),
                [
                    (
                        "until every charger was final",
                        f"{lasted_s:.0f}",
                        f"{counts['succeeded']:,}",
                        f"{counts['failed']}",
                    )
                ],
            ),
        ],
        budgets=[
            Budget(
                "accepting a job of 1,000 new chargers, median ms",
                median(many_ms),
                at_most=50,
                reason="people perceive 100 ms as immediate; half of it is left to the network",
            ),
            Budget(
                "median of that, times a single create",
                median(many_ms) / median(single_ms),
                at_most=20,
                reason="a fiftieth of a single create for each charger: nothing is inserted or read for each of them alone but its item",
            ),
            Budget(
                "p99 of another organization's reads beside the job, ms",
                beside.p99_ms,
                at_most=100,
                reason="people perceive 100 ms as immediate: one read in a hundred waits while a hundred chargers are inserted",
            ),
        ],
    )
