"""What GET /ocpp/operations shows, read at most once in KEEP_S seconds for each organization and process."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Generic, TypeVar

from sqlalchemy import func, select
from sqlalchemy.orm import Session, sessionmaker

from api.live.lights import (
    Light,
    broker_light,
    database_light,
    ecs_light,
    link_light,
    logs_light,
    observer_light,
)
from api.live.readiness import Readiness
from shared.maintenance import Run, last_runs
from shared.models import LogCursor
from shared.operations.budget import BudgetUse, budget_use
from shared.operations.commands import OpenCommands, open_commands
from shared.operations.processes import SeenLink, SeenWorker, links_seen, workers_seen
from shared.settings import Timing

KEEP_S = 1.0
MAX_KEPT = 500  #: organizations whose figures are kept

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Service:
    """What is the same for all organizations."""

    workers: list[SeenWorker]
    links: list[SeenLink]
    budget: list[BudgetUse]
    maintenance: list[Run]
    lights: list[Light]
    at: datetime  #: when it was read, by the database's clock


class Operations:
    """One per app. Concurrent requests for the same figures share one read. Safe to share between threads."""

    def __init__(self, autocommit: sessionmaker[Session], readiness: Readiness, timing: Timing) -> None:
        """The reads count for no organization: each has one at a time."""
        self._autocommit = autocommit
        self._readiness = readiness
        self._timing = timing
        self._lock = threading.Lock()
        self._service = _Kept(self._read_service)
        self._commands: OrderedDict[str | None, _Kept[OpenCommands]] = OrderedDict()

    def service(self) -> Service:
        """The state of the service. Raises SQLAlchemyError."""
        return self._service.get()

    def commands(self, organization_id: str | None) -> OpenCommands:
        """The open commands of the organization, of all for None. Raises SQLAlchemyError."""
        with self._lock:
            kept = self._commands.get(organization_id)
            if kept is None:
                kept = self._commands[organization_id] = _Kept(lambda: self._read_commands(organization_id))
            self._commands.move_to_end(organization_id)
            if len(self._commands) > MAX_KEPT:
                self._commands.popitem(last=False)
        return kept.get()

    def _read_commands(self, organization_id: str | None) -> OpenCommands:
        with self._autocommit() as session:
            return open_commands(session, organization_id)

    def _read_service(self) -> Service:
        broker = self._readiness.broker()
        with self._autocommit() as session:
            began = monotonic()
            now = session.scalars(select(func.now())).one()
            latency_ms = (monotonic() - began) * 1000
            workers, links, runs = workers_seen(session), links_seen(session), last_runs(session)
            lag_s = _log_lag_s(session)
        return Service(
            workers=workers,
            links=links,
            budget=budget_use(workers),
            maintenance=runs,
            lights=[
                database_light(latency_ms),
                broker_light(broker),
                ecs_light(workers),
                logs_light(lag_s, self._timing, now),
                observer_light(runs, self._timing, now),
                link_light(links),
            ],
            at=now,
        )


class _Kept(Generic[Value]):
    """A value that is read again when it is older than KEEP_S. Whoever comes during a read waits for it."""

    def __init__(self, read: Callable[[], Value]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._value: tuple[Value] | None = None
        self._read_at = 0.0

    def get(self) -> Value:
        with self._lock:
            if self._value is None or monotonic() - self._read_at >= KEEP_S:
                self._value = (self._read(),)
                self._read_at = monotonic()
            return self._value[0]


def _log_lag_s(session: Session) -> float | None:
    lag_s = session.scalar(select(func.extract("epoch", func.now() - func.max(LogCursor.read_through))))
    return None if lag_s is None else float(lag_s)
