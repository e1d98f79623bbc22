"""Drain: how fast a worker makes open commands true, when every ECS call takes 30 ms.

What that latency allows is measured, too: by bare clients, as many as there are slots, that do nothing but call. The
stub's timer is a little late.
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

from bench.cpu import Meter
from bench.fleet import charger_id, insert_chargers, patiently
from bench.load import Client
from bench.report import Budget, Report, Table
from bench.servers import ORGANIZATION, Stores, StubEcs, running_process, running_stores, running_stub, worker
from shared.broker.app import make_celery, send
from shared.database.engine import make_engine
from shared.queues import TaskName, message

LATENCY_MS = 30
COMMANDS = 10_000
FEW_CHARGERS = 500  # for the same number of commands: most of them are superseded
LIMIT_S = 60.0  # a run ends then, done or not
SHORT_LIMIT_S = 6.0
JUDGED_RUNS = 5  # of the first setup; the median counts
WARM_UP = 100  # chargers
BARE_CALLS = 50  # of each bare client

ASK = text("""
    WITH asked AS (
        INSERT INTO commands (
            id, charger_id, organization_id, event_type, generation, status, attempts, requested_by
        )
        SELECT uuidv7(), chargers.id, :organization, 'stop_charger', generation + turn, 'queued', 0, 'bench'
        FROM chargers, generate_series(1, CAST(:turns AS int)) AS turn
        RETURNING id, charger_id, generation
    ), newest AS (
        SELECT DISTINCT ON (charger_id) * FROM asked ORDER BY charger_id, generation DESC
    )
    UPDATE chargers SET generation = newest.generation, newest_command_id = newest.id, attempts = 0,
        newest_event_type = 'stop_charger', desired_count = 1 - desired_count,
        not_before = NULL, publish_at = now() + interval '1 hour'
    FROM newest WHERE chargers.id = newest.charger_id
""")
LEFT = text("SELECT count(*) FROM chargers WHERE observed_generation < generation")


@dataclass(frozen=True, slots=True)
class Setup:
    """Which workers take the commands."""

    pool: str  #: Celery's name for it; "" is the worker's own
    slots: int  #: in each process
    processes: int = 1
    chargers: int = COMMANDS
    limit_s: float = SHORT_LIMIT_S


@dataclass(frozen=True, slots=True)
class Drained:
    setup: Setup
    commands: int  #: made true, or superseded
    seconds: float
    mutations: int
    cpu_ms: float  #: of the workers, per command
    memory_mib: float  #: of all workers

    @property
    def per_s(self) -> float:
        return self.commands / self.seconds

    def share(self, call_ms: float) -> float:
        """Of what a call that takes so long and the slots allow."""
        return self.per_s * call_ms / 1000 / (self.setup.processes * self.setup.slots)


SETUPS = (
    Setup("", 4),
    Setup("", 16),
    Setup("", 16, chargers=FEW_CHARGERS, limit_s=LIMIT_S),
    Setup("", 32),
    Setup("gevent", 32),
    Setup("processes", 4),
    Setup("", 4, processes=2),
    Setup("", 4, processes=4),
)


def measure() -> Report:
    with running_stores() as stores, running_stub(stores.folder, latency_ms=LATENCY_MS) as stub:
        results: list[Drained] = []
        calls_ms: list[float] = []
        for number, setup in enumerate([SETUPS[0]] * (JUDGED_RUNS - 1) + [*SETUPS]):
            calls_ms.append(_bare_call_ms(stub))
            url = stores.new_database(f"drain_{number}")
            engine = make_engine(url, pool_size=2)
            insert_chargers(engine, setup.chargers)
            stores.empty_queues()
            stub.forget()
            results.append(_drain(stores, engine, url, stub, setup))
            engine.dispose()
    judged = sorted(results[:JUDGED_RUNS], key=lambda one: one.per_s)[JUDGED_RUNS // 2]
    return _report([judged, *results[JUDGED_RUNS:]], median(calls_ms))


def _bare_call_ms(stub: StubEcs) -> float:
    """How long the stub's answer takes clients that do nothing else, as many as the judged worker has slots."""
    body = json.dumps({"service": charger_id(1), "desiredCount": 1, "taskDefinition": "bare:1"})
    request = (
        f"POST / HTTP/1.1\r\nX-Amz-Target: Ecs.UpdateService\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    ).encode()

    def call(_: int) -> float:
        client = Client(urlsplit(stub.url).port or 0)
        began = perf_counter()
        for _ in range(BARE_CALLS):
            client.ask(request)
        took_s = perf_counter() - began
        client.socket.close()
        return 1000 * took_s / BARE_CALLS

    with ThreadPoolExecutor(SETUPS[0].slots) as pool:
        return mean(pool.map(call, range(SETUPS[0].slots)))


def _drain(stores: Stores, engine: Engine, database_url: str, stub: StubEcs, setup: Setup) -> Drained:
    turns = COMMANDS // setup.chargers
    with patiently(engine) as connection:
        connection.execute(ASK, {"organization": ORGANIZATION, "turns": turns})
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(
                running_process(
                    worker(
                        name, database_url, stores.redis_url, stub.url, pool=setup.pool, slots=setup.slots
                    ),
                    stores.folder,
                )
            )
            for name in (f"worker-{number}" for number in range(setup.processes))
        }
        # Clients, pools and imports are made on first use.
        _publish(stores.redis_url, range(1, WARM_UP + 1), 1)
        before = _wait(engine, stores.redis_url, monotonic() + LIMIT_S, left=setup.chargers - WARM_UP)
        family = [each for one in workers.values() for each in (one, *one.children(recursive=True))]
        for process in family:  # publishing is not what is measured
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
    return Drained(setup, commands, seconds, len(stub.calls()), 1000 * cpu_s / commands, memory / 2**20)


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
    """Until so many are left and the queue is empty, or the time is over. How many chargers are left."""
    with redis.Redis.from_url(redis_url) as broker, engine.connect() as connection:
        while True:
            open_chargers = int(connection.scalar(LEFT) or 0)
            connection.rollback()
            if monotonic() > until or (open_chargers <= left and not broker.llen("lifecycle")):
                return open_chargers
            sleep(0.25)  # a look costs PostgreSQL a few milliseconds


def _report(results: list[Drained], call_ms: float) -> Report:
    rows = [
        (
            f"{one.setup.pool or 'threads'}, {one.setup.processes} x {one.setup.slots} slots",
            f"{one.setup.chargers:,}",
            f"{one.per_s:,.0f}",
            f"{one.share(call_ms):.0%}" if one.setup.chargers == COMMANDS else "",
            f"{one.mutations:,}",
            f"{one.cpu_ms:.2f}",
            f"{one.memory_mib:,.0f}",
            f"{one.memory_mib / one.setup.slots / one.setup.processes:.1f}",
        )
        for one in results
    ]
    head = (
        "pool",
        "chargers",
        "commands/s",
        "of what the latency allows",
        "ECS mutations",
        "CPU ms per command",
        "MiB",
        "MiB per slot",
    )
    few = next(one for one in results if one.setup.chargers == FEW_CHARGERS)
    return Report(
        tables=[
            Table(head, rows),
            Table(("a call of the stub", "ms"), [("a bare client", f"{call_ms:.1f}")]),
        ],
        budgets=[
            Budget(
                "commands/s with 4 slots, share of what the latency allows",
                results[0].share(call_ms),
                at_least=0.8,
            ),
            Budget(
                f"ECS mutations for {COMMANDS:,} commands on {FEW_CHARGERS} chargers",
                few.mutations,
                at_most=1000,
            ),
        ],
    )
