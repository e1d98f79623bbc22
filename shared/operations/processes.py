"""The worker processes and the processes of the control link, as their rows show them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.orm import Session

from shared.fleet.control import LINK_TIMEOUT
from shared.models import ControlLink, ControlSession, Worker

REPORT_EVERY_S = 10.0  #: between two reports of a worker
ALIVE_FOR = timedelta(seconds=30)  #: after its last report a worker counts as alive: two reports may fail
SHOWN_FOR = timedelta(hours=1)  #: after its last report a worker is shown
MAX_SHOWN = 500  #: workers, and links


@dataclass(frozen=True, slots=True)
class SeenWorker:
    """A worker that has reported in the last hour."""

    name: str
    host: str
    version: str
    queues: tuple[str, ...]  #: that it serves; still those of its last report when it is not alive
    threads: int
    busy: int
    tasks_done: int
    started_at: datetime
    seen_at: datetime
    age_s: float  #: of the report
    alive: bool
    ecs: dict[str, Any]
    budget: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SeenLink:
    """A process of the control link."""

    id: str
    sessions: int  #: processes of chargers that are connected to it
    seen_at: datetime
    alive: bool


def workers_seen(session: Session) -> list[SeenWorker]:
    """The workers by name, at most MAX_SHOWN. The clock is the database's."""
    age = func.now() - Worker.seen_at
    rows = session.execute(
        select(Worker, func.extract("epoch", age).label("age_s"), (age < ALIVE_FOR).label("alive"))
        .where(age < SHOWN_FOR)
        .order_by(Worker.name)
        .limit(MAX_SHOWN)
    )
    return [
        SeenWorker(
            name=row.name,
            host=row.host,
            version=row.version,
            queues=tuple(row.queues),
            threads=row.threads,
            busy=row.busy,
            tasks_done=row.tasks_done,
            started_at=row.started_at,
            seen_at=row.seen_at,
            age_s=max(0.0, float(age_s)),
            alive=alive,
            ecs=row.ecs,
            budget=row.budget,
        )
        for row, age_s, alive in rows
    ]


def links_seen(session: Session) -> list[SeenLink]:
    """The processes of the control link of the last day, by id, at most MAX_SHOWN."""
    connected = and_(ControlSession.link_id == ControlLink.id, ControlSession.disconnected_at.is_(None))
    rows = session.execute(
        select(
            ControlLink.id,
            select(func.count()).select_from(ControlSession).where(connected).scalar_subquery(),
            ControlLink.seen_at,
            func.now() - ControlLink.seen_at < LINK_TIMEOUT,
        )
        .order_by(ControlLink.id)
        .limit(MAX_SHOWN)
    )
    return [SeenLink(*row) for row in rows]


def serving(workers: Sequence[SeenWorker], queue: str) -> int:
    """How many living workers take messages from the queue."""
    return sum(worker.alive and queue in worker.queues for worker in workers)
