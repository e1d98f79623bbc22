"""Observe: what it costs to read the state of a settled fleet, and to run a worker and beat without commands."""

import os
from time import monotonic, process_time, sleep
from typing import Any

from sqlalchemy import Engine, event, text

from bench.report import Report, Table
from bench.support.cpu import Meter
from bench.support.fleet import charger_id, insert_chargers
from bench.support.servers import (
    Stores,
    StubEcs,
    beat,
    environment,
    running_process,
    running_stores,
    running_stub,
    worker,
)
from shared.database.engine import Sessions, make_engine
from shared.startup.environment import load_settings
from worker.ecs.client import EcsClient
from worker.observe.observe import observe

SERVICES = 10_000
IDLE_S = 20.0
SETTLED_S = 8.0
DUE = text(
    "UPDATE chargers SET observe_at = now(), observed_at = now() - interval '1 hour' WHERE id <= :last"
)
#: Spread over the minute in which each is read once.
SPREAD = text("UPDATE chargers SET observe_at = now() + random() * interval '60 seconds'")
LEFT = text("SELECT count(*) FROM chargers WHERE observe_at <= now()")


class DatabaseTime:
    """Counts an engine's statements and the seconds spent in them."""

    def __init__(self, engine: Engine) -> None:
        self.statements = 0
        self.seconds = 0.0
        self._began = 0.0
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _begin(self, *_: Any) -> None:
        self._began = monotonic()

    def _end(self, *_: Any) -> None:
        self.statements += 1
        self.seconds += monotonic() - self._began


def measure() -> Report:
    with running_stores() as stores, running_stub(stores.folder, latency_ms=0) as stub:
        url = stores.new_database("observe")
        engine = make_engine(url, pool_size=2)
        insert_chargers(engine, SERVICES)
        settled = _observe_all(engine, url, stores, stub)
        with engine.begin() as connection:
            connection.execute(SPREAD)
        idle = _idle(url, stores, stub)
        engine.dispose()
    return Report(tables=[settled, idle])


def _observe_all(engine: Engine, database_url: str, stores: Stores, stub: StubEcs) -> Table:
    """Observe each service once, in this process."""
    os.environ.update(environment(database_url, stores.redis_url) | {"AWS_ENDPOINT_URL": stub.url})
    settings = load_settings()
    sessions, ecs = Sessions(engine), EcsClient(settings.ecs)
    _make_due(engine, 10)
    observe(sessions, ecs, settings.timing)  # connections, imports
    _make_due(engine, SERVICES)
    stub.clear_calls()
    database = DatabaseTime(engine)
    began, cpu_began = monotonic(), process_time()
    left = SERVICES
    while left:
        observe(sessions, ecs, settings.timing)
        with engine.connect() as connection:
            left = int(connection.scalar(LEFT) or 0)
    seconds, cpu_s = monotonic() - began, process_time() - cpu_began
    return Table(
        (f"{SERVICES:,} services observed once", ""),
        [
            ("ECS calls", f"{len(stub.calls()):,}"),
            ("SQL statements", f"{database.statements:,}"),
            ("waiting for the database, s", f"{database.seconds:.1f}"),
            ("CPU of the worker, s", f"{cpu_s:.1f}"),
            ("elapsed, s", f"{seconds:.1f}"),
        ],
    )


def _make_due(engine: Engine, chargers: int) -> None:
    with engine.begin() as connection:
        connection.execute(DUE, {"last": charger_id(chargers)})


def _idle(database_url: str, stores: Stores, stub: StubEcs) -> Table:
    """A worker of all queues and beat, without any command."""
    queues = "lifecycle,provisioning,maintenance"
    with (
        running_process(
            worker("idle", database_url, stores.redis_url, stub.url, queues=queues), stores.folder
        ) as worker_process,
        running_process(beat(database_url, stores.redis_url), stores.folder) as beat_process,
    ):
        sleep(SETTLED_S)  # first use imports modules and makes clients and pools
        stub.clear_calls()
        meter = Meter({"worker": worker_process, "beat": beat_process, **stores.processes})
        with meter.running():
            sleep(IDLE_S)
    per_minute = 60 / IDLE_S
    return Table(
        (f"an idle minute with {SERVICES:,} chargers", ""),
        [
            ("ECS calls", f"{len(stub.calls()) * per_minute:,.0f}"),
            *(
                (f"CPU of {name}, s", f"{seconds * per_minute:.2f}")
                for name, seconds in meter.spent_s.items()
                if name != "load"
            ),
        ],
    )
