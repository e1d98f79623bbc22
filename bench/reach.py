"""Reach: from a POST until its ECS call arrives, beside the bare hand-over of a Celery task."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from time import monotonic, sleep

import redis

from bench.fleet import charger_id, insert_chargers
from bench.load import BadAnswer, Client, post
from bench.report import Budget, Report, Table
from bench.servers import (
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
ONE_BY_ONE = 100  # commands, each sent when the one before it has long arrived
APART_S = 0.05
ROUNDS = 5
BURST = 400
HALF_LOAD_S = 8.0
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Latencies:
    name: str
    ms: list[float]

    @property
    def p50_ms(self) -> float:
        return median(self.ms)

    @property
    def p99_ms(self) -> float:
        return quantiles(self.ms, n=100)[98]


class Ours:
    """POSTs to the API, arrivals at the stub. Every charger is stopped once at most."""

    def __init__(self, port: int, stub: StubEcs) -> None:
        self._client = Client(port)
        self._token = token()
        self._stub = stub
        self._next = 1

    def send(self) -> str:
        name = charger_id(self._next)
        self._next += 1
        answer = self._client.ask(post(f"/ocpp/chargers/{name}/stop-charger", self._token))
        if not answer.startswith(b"HTTP/1.1 202 "):
            raise BadAnswer(answer[:500].decode(errors="replace"))
        return name

    def arrived(self) -> dict[str, float]:
        return {service: at for operation, service, at in self._stub.calls() if operation == "UpdateService"}


class Bare:
    """Tasks of bench/bare.py."""

    def __init__(self, redis_url: str) -> None:
        os.environ["REDIS_URL"] = redis_url
        from bench.bare import STARTED, note  # noqa: PLC0415  # reads the variable

        self._note = note
        self._key = STARTED
        self._redis = redis.Redis.from_url(redis_url)
        self._next = 0

    def send(self) -> str:
        self._next += 1
        self._note.apply_async(kwargs={"number": self._next})
        return str(self._next)

    def arrived(self) -> dict[str, float]:
        notes: dict[bytes, bytes] = self._redis.hgetall(self._key)  # type: ignore[assignment]
        return {number.decode(): float(at) for number, at in notes.items()}


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
            _bare_worker(stores),
        ):
            stack.enter_context(running_process(program, stores.folder))
        ours, bare = Ours(port, stub), Bare(stores.redis_url)
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


def _bare_worker(stores: Stores) -> Program:
    options = "-P threads -c 16 -Q bare --without-gossip --without-mingle -n bare@%h"
    return Program(
        name="bare",
        argv=(sys.executable, "-m", "celery", "-A", "bench.bare", "worker", *options.split()),
        env=environment("", stores.redis_url),
        stop_within_s=20,
    )


def _send(side: Ours | Bare, count: int, apart_s: float) -> list[float]:
    """Send by the clock, whatever became of those before. Returns how long each took, in ms."""
    sent: dict[str, float] = {}
    due = monotonic()
    for _ in range(count):
        sleep(max(0.0, due - monotonic()))
        at = monotonic()
        sent[side.send()] = at
        due += apart_s
    arrived = _wait_for(side.arrived, set(sent))
    return [1000 * (arrived[name] - at) for name, at in sent.items()]


def _burst(ours: Ours) -> float:
    """Commands per second that get through when they are sent without a pause."""
    began = monotonic()
    names = {ours.send() for _ in range(BURST)}
    arrived = _wait_for(ours.arrived, names)
    return BURST / (max(arrived[name] for name in names) - began)


def _wait_for(look: Callable[[], dict[str, float]], names: set[str]) -> dict[str, float]:
    until = monotonic() + PATIENCE_S
    while True:
        arrived = look()
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
            Budget("p50, times the bare hand-over's", singly.p50_ms / bare.p50_ms, at_most=2),
            Budget("p99 at half load, ms", half.p99_ms, at_most=50),
        ],
    )
