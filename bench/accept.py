"""Accept: how fast a start or stop is on record, against the same route written plainly, and the bare SQL."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from statistics import median

import psutil

from bench.cpu import Meter
from bench.fleet import charger_id, insert_chargers
from bench.load import Load, drive, post
from bench.pgbench import statements_per_s
from bench.report import Budget, Report, Table
from bench.servers import Stores, api, environment, running_process, running_stores, token
from embedded.ports import HOST, free_port
from embedded.process import Program
from shared.database.engine import make_engine

CHARGERS = 10_000
ROUNDS = 5
ROUND_S = 3.0
WARM_UP_S = 2.0
SERVERS = 2  # processes of either API: the machine's cores
BASELINE_THREADS = 16  # in each, so that all 32 connections are served at once


@dataclass
class Contender:
    """One of the two APIs, with a database to itself."""

    name: str
    port: int
    process: psutil.Process
    requests: Iterator[bytes]
    loads: list[Load] = field(default_factory=list)
    cpu_ms: list[dict[str, float]] = field(default_factory=list)  #: per request, by group of processes

    @property
    def per_s(self) -> float:
        return median(load.per_s for load in self.loads)

    @property
    def p50_ms(self) -> float:
        return median(load.p50_ms for load in self.loads)

    @property
    def p99_ms(self) -> float:
        return median(load.p99_ms for load in self.loads)

    def median_cpu_ms(self, group: str) -> float:
        return median(spent[group] for spent in self.cpu_ms)


def measure() -> Report:
    with running_stores() as stores, ExitStack() as stack:
        databases = {name: _database(stores, name) for name in ("ours", "baseline", "bare")}
        ours_port, baseline_port = free_port(), free_port()
        ours = Contender(
            "Chargehand",
            ours_port,
            stack.enter_context(
                running_process(
                    api(databases["ours"], stores.redis_url, ours_port, WEB_CONCURRENCY=str(SERVERS)),
                    stores.folder,
                )
            ),
            alternating_requests(CHARGERS),
        )
        baseline = Contender(
            "written plainly",
            baseline_port,
            stack.enter_context(
                running_process(
                    _baseline(databases["baseline"], stores.redis_url, baseline_port), stores.folder
                )
            ),
            alternating_requests(CHARGERS),
        )
        bare_per_s = []
        for contender in (ours, baseline):
            drive(contender.port, contender.requests, seconds=WARM_UP_S, status=202)
        for _ in range(ROUNDS):
            for contender in (ours, baseline):
                _round(contender, stores)
            bare_per_s.append(
                statements_per_s(databases["bare"], CHARGERS, seconds=ROUND_S, folder=stores.folder)
            )
    return _report(ours, baseline, bare_per_s)


def alternating_requests(chargers: int) -> Iterator[bytes]:
    """Stop every charger, then start every charger, for ever: none of them is a repeat."""
    bearer = token()
    stops, starts = (
        [post(f"/ocpp/chargers/{charger_id(number)}/{verb}", bearer) for number in range(1, chargers + 1)]
        for verb in ("stop-charger", "start-charger")
    )
    for turn in count():
        yield from starts if turn % 2 else stops


def _database(stores: Stores, name: str) -> str:
    url = stores.new_database(name)
    engine = make_engine(url)
    insert_chargers(engine, CHARGERS)
    engine.dispose()
    return url


def _baseline(database_url: str, redis_url: str, port: int) -> Program:
    # fmt: off
    return Program(
        name="baseline",
        argv=(
            sys.executable, "-m", "gunicorn", "--bind", f"{HOST}:{port}", "--workers", str(SERVERS),
            "--worker-class", "gthread", "--threads", str(BASELINE_THREADS), "--no-control-socket",
            "bench.baseline.app:app",
        ),
        env=environment(database_url, redis_url),
    )
    # fmt: on


def _round(contender: Contender, stores: Stores) -> None:
    stores.empty_queues()
    meter = Meter({"API": contender.process, **stores.processes})
    with meter.running():
        load = drive(contender.port, contender.requests, seconds=ROUND_S, status=202)
    contender.loads.append(load)
    contender.cpu_ms.append({name: 1000 * spent / load.requests for name, spent in meter.spent_s.items()})


def _report(ours: Contender, baseline: Contender, bare_per_s: Sequence[float]) -> Report:
    groups = ("API", "PostgreSQL", "Redis", "load")
    rows: list[Sequence[str]] = [
        (
            contender.name,
            f"{contender.per_s:,.0f}",
            f"{contender.p50_ms:.1f}",
            f"{contender.p99_ms:.1f}",
            *(f"{contender.median_cpu_ms(group):.2f}" for group in groups),
        )
        for contender in (ours, baseline)
    ]
    rows.append(("pgbench, the same SQL", f"{median(bare_per_s):,.0f}", *[""] * 6))
    # Ratios of rounds that ran side by side, so that a slow minute of the machine strikes both.
    faster = median(one.per_s / other.per_s for one, other in zip(ours.loads, baseline.loads, strict=True))
    share = median(one.per_s / bare for one, bare in zip(ours.loads, bare_per_s, strict=True))
    return Report(
        tables=[
            Table(("", "requests/s", "p50 ms", "p99 ms", *(f"CPU ms: {group}" for group in groups)), rows)
        ],
        budgets=[
            Budget("requests/s, times the plain route's", faster, at_least=6),
            Budget("p99, times the plain route's", ours.p99_ms / baseline.p99_ms, at_most=1),
            Budget("requests/s, share of pgbench's", share, at_least=0.35),
        ],
    )
