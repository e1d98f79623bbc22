"""Reach: the time from a POST until its ECS call arrives, compared with Celery's bare hand-over of a task."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from time import monotonic, sleep

import redis

from bench.report import Budget, Report, Table
from bench.support.fleet import charger_id, insert_chargers
from bench.support.load import BadAnswer, Client, p99, post
from bench.support.servers import (
    WORKER_CONCURRENCY,
    Stores,
    StubEcs,
    api,
    environment,
    running_process,
    running_stores,
    running_stub,
    token,
    worker,
)
from embedded.ports import free_port
from embedded.process import Program
from shared.database.engine import make_engine

CHARGERS = 10_000
ONE_BY_ONE = 100  # commands, far enough apart that each arrives before the next is sent
APART_S = 0.05
ROUNDS = 5
BURST = 400
HALF_LOAD_S = 8.0
ARRIVED_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Latencies:
    name: str
    ms: list[float]

    @property
    def p50_ms(self) -> float:
        return median(self.ms)

    @property
    def p99_ms(self) -> float:
        return p99(self.ms)


class Product:
    """Sends POSTs to the API and reads the arrivals at the stub. Every charger is stopped at most once."""

    def __init__(self, port: int, stub: StubEcs) -> None:
        self._client = Client(port)
        self._token = token()
        self._stub = stub
        self._next = 1

    def send(self) -> str:
        name = charger_id(self._next)
        self._next += 1
        answer = self._client.call(post(f"/ocpp/chargers/{name}/stop-charger", self._token))
        if not answer.startswith(b"HTTP/1.1 202 "):
            raise BadAnswer(answer[:500].decode(errors="replace"))
        return name

    def arrived(self) -> dict[str, float]:
        return {service: at for operation, service, at in self._stub.calls() if operation == "UpdateService"}


class BareCelery:
    """Sends the task of bench/baseline/handover.py and reads when each started."""

    def __init__(self, redis_url: str) -> None:
        os.environ["REDIS_URL"] = redis_url
        from bench.baseline.handover import STARTED_KEY, record_start  # noqa: PLC0415  # reads the variable

        self._task = record_start
        self._key = STARTED_KEY
        self._redis = redis.Redis.from_url(redis_url)
        self._next = 0

    def send(self) -> str:
        self._next += 1
        self._task.apply_async(kwargs={"number": self._next})
        return str(self._next)

    def arrived(self) -> dict[str, float]:
        starts: dict[bytes, bytes] = self._redis.hgetall(self._key)  # type: ignore[assignment]
        return {number.decode(): float(at) for number, at in starts.items()}


def measure() -> Report:
    with running_stores() as stores, running_stub(stores.folder, latency_ms=0) as stub, ExitStack() as stack:
        url = stores.new_database("reach")
        engine = make_engine(url, pool_size=1)
        insert_chargers(engine, CHARGERS)
        engine.dispose()
        port = free_port()
        for program in (
            api(url, stores.redis_url, port),
            worker("worker", url, stores.redis_url, stub.url),
            _handover_worker(stores),
        ):
            stack.enter_context(running_process(program, stores.folder))
        ours, bare = Product(port, stub), BareCelery(stores.redis_url)
        _send(ours, 20, APART_S)  # connections, imports
        _send(bare, 20, APART_S)
        singly: list[float] = []
        bare_singly: list[float] = []
        for _ in range(ROUNDS):
            singly += _send(ours, ONE_BY_ONE // ROUNDS, APART_S)
            bare_singly += _send(bare, ONE_BY_ONE // ROUNDS, APART_S)
        per_s = _burst(ours)
        at_half_load = _send(ours, int(HALF_LOAD_S * per_s / 2), 2 / per_s)
    return _report(
        Latencies("one at a time", singly),
        Latencies("half load", at_half_load),
        Latencies("bare Celery, one at a time", bare_singly),
        per_s,
    )


def _handover_worker(stores: Stores) -> Program:
    options = (
        f"-P threads -c {WORKER_CONCURRENCY} -Q handover --without-gossip --without-mingle -n handover@%h"
    )
    return Program(
        name="handover",
        argv=(sys.executable, "-m", "celery", "-A", "bench.baseline.handover", "worker", *options.split()),
        env=environment("", stores.redis_url),
        stop_within_s=20,
    )


def _send(side: Product | BareCelery, count: int, apart_s: float) -> list[float]:
    """Send at a constant rate. Returns how long each took from its scheduled moment, in ms."""
    due_at: dict[str, float] = {}
    due = monotonic()
    for _ in range(count):
        sleep(max(0.0, due - monotonic()))
        due_at[side.send()] = due
        due += apart_s
    arrived = _wait_for(side.arrived, set(due_at))
    return [1000 * (arrived[name] - at) for name, at in due_at.items()]


def _burst(ours: Product) -> float:
    """Commands per second that reach ECS when one client sends them without a pause."""
    began = monotonic()
    names = {ours.send() for _ in range(BURST)}
    arrived = _wait_for(ours.arrived, names)
    return BURST / (max(arrived[name] for name in names) - began)


def _wait_for(arrivals: Callable[[], dict[str, float]], names: set[str]) -> dict[str, float]:
    """When each of them arrived. Raises TimeoutError."""
    until = monotonic() + ARRIVED_WITHIN_S
    while True:
        arrived = arrivals()
        if names <= arrived.keys():
            return arrived
        if monotonic() > until:
            raise TimeoutError(f"{len(names - arrived.keys())} of {len(names)} have not arrived")
        sleep(0.1)


def _report(singly: Latencies, half: Latencies, bare: Latencies, per_s: float) -> Report:
    rows = [
        (f"{one.name}", f"{len(one.ms):,}", f"{one.p50_ms:.1f}", f"{one.p99_ms:.1f}")
        for one in (singly, Latencies(f"half load, {per_s / 2:.0f} commands/s", half.ms), bare)
    ]
    return Report(
        tables=[Table(("", "commands", "p50 ms", "p99 ms"), rows)],
        budgets=[
            Budget(
                "p50, times the bare hand-over's",
                singly.p50_ms / bare.p50_ms,
                at_most=3.5,
                reason="2.5 is for steps that every design needs, 8.4 ms against 3.3: one commit, the hand-over, one "
                "read of the row, botocore; 1 is left for HTTP, Flask and the token",
            ),
            Budget(
                "p99 at half load, ms",
                half.p99_ms,
                at_most=50,
                reason="people perceive 100 ms as immediate (Nielsen, Usability Engineering); half of it is left to ECS",
            ),
        ],
        summary=(
            f"**{singly.p50_ms:.0f} ms from a POST until its call reaches ECS** (p50; p99 {singly.p99_ms:.0f} ms), "
            f"of which Celery's bare hand-over of a task takes {bare.p50_ms:.0f} ms."
        ),
    )
