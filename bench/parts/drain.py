"""Drain: how fast workers carry out open commands when every ECS call takes 30 ms.

The limit that this latency sets is measured too, by bare clients that only call: as many as the worker has threads.
"""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import mean, median
from time import monotonic, perf_counter, sleep
from urllib.parse import urlsplit

import redis
from sqlalchemy import Engine, text

from bench.report import Budget, Report, Table
from bench.support.cpu import Meter
from bench.support.fleet import bulk_connection, charger_id, insert_chargers
from bench.support.load import Client
from bench.support.servers import (
    ORGANIZATION,
    WORKER_CONCURRENCY,
    Stores,
    StubEcs,
    running_process,
    running_stores,
    running_stub,
    worker,
)
from shared.broker.app import make_celery, send
from shared.database.engine import make_engine
from shared.queues import TaskName, message

LATENCY_MS = 30
SERVICE_CHANGES_PER_S = 5  # Amazon's quota, docs/aws.md
COMMANDS = 10_000
FEW_CHARGERS = 500  # for the same number of commands: most of them are superseded
LIMIT_S = 60.0  # a run ends then, even unfinished
SHORT_LIMIT_S = 6.0
JUDGED_RUNS = 3  # of the first setup; the median counts
WARM_UP = 100  # chargers
BARE_CALLS = 50  # of each bare client

RECORD_COMMANDS = text("""
    WITH recorded AS (
        INSERT INTO commands (
            id, charger_id, organization_id, event_type, generation, status, attempts, requested_by
        )
        SELECT uuidv7(), chargers.id, :organization, 'stop_charger', generation + turn, 'queued', 0, 'bench'
        FROM chargers, generate_series(1, CAST(:turns AS int)) AS turn
        RETURNING id, charger_id, generation
    ), newest AS (
        SELECT DISTINCT ON (charger_id) * FROM recorded ORDER BY charger_id, generation DESC
    )
    UPDATE chargers SET generation = newest.generation, newest_command_id = newest.id, attempts = 0,
        newest_event_type = 'stop_charger', desired_count = 1 - desired_count,
        not_before = NULL, publish_at = now() + interval '1 hour'
    FROM newest WHERE chargers.id = newest.charger_id
""")
OPEN_CHARGERS = text("SELECT count(*) FROM chargers WHERE observed_generation < generation")


@dataclass(frozen=True, slots=True)
class Setup:
    """Which workers take the commands."""

    pool: str  #: as in -P; "" is the pool that ships
    threads: int  #: in each process
    processes: int = 1
    chargers: int = COMMANDS
    limit_s: float = SHORT_LIMIT_S


@dataclass(frozen=True, slots=True)
class Result:
    setup: Setup
    commands: int  #: carried out or superseded
    seconds: float
    mutations: int
    cpu_ms: float  #: of the workers, per command
    memory_mib: float  #: of all workers

    @property
    def per_s(self) -> float:
        return self.commands / self.seconds

    def share(self, call_ms: float) -> float:
        """Of the rate at which the threads would make calls of this length and do nothing else."""
        return self.per_s * call_ms / 1000 / (self.setup.processes * self.setup.threads)


DEFAULT = Setup("", WORKER_CONCURRENCY)
FEW = Setup("", WORKER_CONCURRENCY, chargers=FEW_CHARGERS, limit_s=LIMIT_S)
SETUPS = (
    *[DEFAULT] * JUDGED_RUNS,
    FEW,
    Setup("", 4),
    Setup("", 16),
    Setup("", WORKER_CONCURRENCY, processes=2),
    Setup("gevent", 32),
    Setup("processes", 4),
)


def measure() -> Report:
    with running_stores() as stores, running_stub(stores.folder, latency_ms=LATENCY_MS) as stub:
        results: list[Result] = []
        calls_ms: list[float] = []
        for number, setup in enumerate(SETUPS):
            calls_ms.append(_bare_call_ms(stub))
            url = stores.new_database(f"drain_{number}")
            engine = make_engine(url, pool_size=2)
            insert_chargers(engine, setup.chargers)
            stores.empty_queues()
            stub.clear_calls()
            results.append(_drain(stores, engine, url, stub, setup))
            engine.dispose()
    judged = sorted(results[:JUDGED_RUNS], key=lambda one: one.per_s)[JUDGED_RUNS // 2]
    return _report(judged, results[JUDGED_RUNS:], median(calls_ms))


def _bare_call_ms(stub: StubEcs) -> float:
    """How long a call takes clients that do nothing else, as many as the worker has threads by default."""
    body = json.dumps({"service": charger_id(1), "desiredCount": 1, "taskDefinition": "bare:1"})
    request = (
        f"POST / HTTP/1.1\r\nX-Amz-Target: Ecs.UpdateService\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()

    def call(_: int) -> float:
        client = Client(urlsplit(stub.url).port or 0)
        began = perf_counter()
        for _ in range(BARE_CALLS):
            client.call(request)
        took_s = perf_counter() - began
        client.socket.close()
        return 1000 * took_s / BARE_CALLS

    with ThreadPoolExecutor(DEFAULT.threads) as pool:
        return mean(pool.map(call, range(DEFAULT.threads)))


def _drain(stores: Stores, engine: Engine, database_url: str, stub: StubEcs, setup: Setup) -> Result:
    turns = COMMANDS // setup.chargers
    with bulk_connection(engine) as connection:
        connection.execute(RECORD_COMMANDS, {"organization": ORGANIZATION, "turns": turns})
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                running_process(
                    worker(
                        name, database_url, stores.redis_url, stub.url, pool=setup.pool, threads=setup.threads
                    ),
                    stores.folder,
                )
            )
            for name in (f"worker-{number}" for number in range(setup.processes))
        }
        # First use imports modules and makes clients and pools.
        _publish(stores.redis_url, range(1, WARM_UP + 1), 1)
        before = _wait(engine, stores.redis_url, monotonic() + LIMIT_S, left=setup.chargers - WARM_UP)
        family = [each for one in workers.values() for each in (one, *one.children(recursive=True))]
        for process in family:  # publishing is not measured
            process.suspend()
        _publish(stores.redis_url, range(1, setup.chargers + 1), turns)
        meter = Meter(workers)
        with meter.running():
            started = monotonic()
            for process in family:
                process.resume()
            left = _wait(engine, stores.redis_url, started + setup.limit_s)
            seconds = monotonic() - started
            memory = sum(
                process.memory_info().rss
                for parent in workers.values()
                for process in (parent, *parent.children(recursive=True))
            )
        commands = (before - left) * turns
        cpu_s = sum(spent for name, spent in meter.spent_s.items() if name in workers)
    return Result(setup, commands, seconds, len(stub.calls()), 1000 * cpu_s / commands, memory / 2**20)


def _publish(redis_url: str, chargers: range, turns: int) -> None:
    celery = make_celery(redis_url, publisher=True)
    hints = (
        message(
            charger_id=charger_id(number),
            command_id=None,
            event_type="stop_charger",
            generation=turn + 2,
            desired_count=0,
        )
        for turn in range(turns)
        for number in chargers
    )
    send(celery, [(TaskName.STOP, hint) for hint in hints])
    celery.close()


def _wait(engine: Engine, redis_url: str, until: float, *, left: int = 0) -> int:
    """Wait until `left` chargers are open and the queue is empty, or until the time is over. Returns how many are open."""
    with redis.Redis.from_url(redis_url) as broker, engine.connect() as connection:
        while True:
            open_chargers = int(connection.scalar(OPEN_CHARGERS) or 0)
            connection.rollback()
            if monotonic() > until or (open_chargers <= left and not broker.llen("lifecycle")):
                return open_chargers
            sleep(0.25)  # the count costs PostgreSQL a few milliseconds


def _report(judged: Result, results: list[Result], call_ms: float) -> Report:
    rows = [
        (
            _name(one.setup),
            f"{one.setup.chargers:,}",
            f"{one.per_s:,.0f}",
            f"{one.share(call_ms):.0%}" if one.setup.chargers == COMMANDS else "",
            f"{one.mutations:,}",
            f"{one.cpu_ms:.2f}",
            f"{one.memory_mib:,.0f}",
            f"{one.memory_mib / one.setup.threads / one.setup.processes:.1f}",
        )
        for one in (judged, *results)
    ]
    head = (
        "pool",
        "chargers",
        "commands/s",
        "share of the latency's limit",
        "ECS mutations",
        "CPU ms per command",
        "MiB",
        "MiB per thread",
    )
    few = next(one for one in results if one.setup == FEW)
    return Report(
        tables=[
            Table(head, rows),
            Table(("a call of the stub by a bare client", "ms"), [("mean", f"{call_ms:.1f}")]),
        ],
        budgets=[
            Budget(
                f"commands/s of {_name(DEFAULT)}, times ECS's quota of {SERVICE_CHANGES_PER_S} per second",
                judged.per_s / SERVICE_CHANGES_PER_S,
                at_least=20,
                reason="ECS takes 50 at once and then 5 per second: at 100 per second one worker sends that burst in half a "
                "second and is not the limit, with any pool and transport",
            ),
            Budget(
                f"ECS mutations for {COMMANDS:,} commands on {FEW_CHARGERS} chargers",
                few.mutations,
                at_most=2 * FEW_CHARGERS,
                reason="one call for the newest state of each charger, and one more for a charger whose call had begun",
            ),
        ],
        summary=(
            f"**Amazon's own quota is the limit: {SERVICE_CHANGES_PER_S} service changes per second** per account and "
            f"region, 50 at once, so 1,000 starts take 190 s. One worker with its defaults carries out "
            f"{judged.per_s:,.0f} per second."
        ),
    )


def _name(setup: Setup) -> str:
    return f"{setup.pool or 'default pool'}, {setup.processes} x {setup.threads} threads"
