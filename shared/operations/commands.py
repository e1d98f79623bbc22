"""How many commands are open, how old they are, and which wait longest."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from shared.models import Charger, Command
from shared.queues import QUEUE_OF, TASK_OF, Queue
from shared.vocabulary import OPEN, EventType

AGES_S = (0, 5, 60, 300)
MAX_OLDEST = 20  #: commands that are listed
MAX_ORGANIZATIONS = 50  #: that are listed


@dataclass(frozen=True, slots=True)
class OpenOnQueue:
    """The open commands whose tasks go to one queue."""

    queue: Queue
    open: int
    oldest_s: float | None  #: age of the oldest; None when there is none
    older_than: tuple[int, ...]  #: how many are at least as old as each of AGES_S


@dataclass(frozen=True, slots=True)
class OpenOfOrganization:
    organization_id: str
    open: int
    held: int  #: by the rate budget


@dataclass(frozen=True, slots=True)
class OldCommand:
    """One of those that are open longest."""

    id: UUID
    charger_id: str
    identity: str
    organization_id: str
    event_type: str
    status: str
    reason: str | None
    attempts: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class OpenCommands:
    open: int
    held: int  #: by the rate budget
    oldest_s: float | None
    by_queue: tuple[OpenOnQueue, ...]  #: every queue
    oldest: tuple[OldCommand, ...]  #: MAX_OLDEST, oldest first
    by_organization: tuple[OpenOfOrganization, ...]  #: MAX_ORGANIZATIONS, those with the most held ones first


def open_commands(session: Session, organization_id: str | None) -> OpenCommands:
    """The open commands of an organization, or of all of them. Two statements, which read open commands only."""
    of_scope: list[ColumnElement[bool]] = [Command.status.in_(OPEN)]
    if organization_id is not None:
        of_scope.append(Command.organization_id == organization_id)
    groups = _counted(session, of_scope, AGES_S)
    return OpenCommands(
        open=sum(group.open for group in groups),
        held=sum(group.held for group in groups),
        oldest_s=_oldest(groups),
        by_queue=tuple(_on_queue(queue, groups) for queue in Queue),
        oldest=_listed(session, of_scope),
        by_organization=_by_organization(groups),
    )


@dataclass(frozen=True, slots=True)
class OpenGroup:
    """The open commands of an organization and an event type."""

    organization_id: str
    event_type: str
    open: int
    held: int
    oldest_s: float
    older_than: tuple[int, ...]  #: how many are at least as old as each of the ages


def open_by_type(session: Session, ages_s: Sequence[int]) -> list[OpenGroup]:
    """The open commands of all organizations, for metrics. One statement."""
    return _counted(session, [Command.status.in_(OPEN)], ages_s)


def _counted(
    session: Session, of_scope: Iterable[ColumnElement[bool]], ages_s: Sequence[int]
) -> list[OpenGroup]:
    rows = session.execute(
        select(
            Command.organization_id,
            Command.event_type,
            func.count(),
            func.count(Command.held_since),
            func.extract("epoch", func.now() - func.min(Command.created_at)),
            *(
                func.count().filter(Command.created_at <= func.now() - timedelta(seconds=age))
                for age in ages_s
            ),
        )
        .where(*of_scope)
        .group_by(Command.organization_id, Command.event_type)
    )
    return [
        OpenGroup(organization, event_type, count, held, max(0.0, float(oldest_s)), tuple(older_than))
        for organization, event_type, count, held, oldest_s, *older_than in rows
    ]


def _on_queue(queue: Queue, groups: Iterable[OpenGroup]) -> OpenOnQueue:
    on_queue = [group for group in groups if queue_of(group.event_type) is queue]
    return OpenOnQueue(
        queue=queue,
        open=sum(group.open for group in on_queue),
        oldest_s=_oldest(on_queue),
        older_than=tuple(sum(group.older_than[index] for group in on_queue) for index in range(len(AGES_S))),
    )


def queue_of(event_type: str) -> Queue:
    """The queue to which the commands of this type go."""
    return QUEUE_OF[TASK_OF[EventType(event_type)]]


def _oldest(groups: Iterable[OpenGroup]) -> float | None:
    return max((group.oldest_s for group in groups), default=None)


def _listed(session: Session, of_scope: Iterable[ColumnElement[bool]]) -> tuple[OldCommand, ...]:
    oldest = (
        select(Command).where(*of_scope).order_by(Command.created_at, Command.id).limit(MAX_OLDEST).subquery()
    )
    rows = session.execute(
        select(
            oldest.c.id,
            oldest.c.charger_id,
            Charger.identity,
            oldest.c.organization_id,
            oldest.c.event_type,
            oldest.c.status,
            oldest.c.reason,
            oldest.c.attempts,
            oldest.c.created_at,
        )
        .join(Charger, Charger.id == oldest.c.charger_id)
        .order_by(oldest.c.created_at, oldest.c.id)
    )
    return tuple(OldCommand(*row) for row in rows)


def _by_organization(groups: Iterable[OpenGroup]) -> tuple[OpenOfOrganization, ...]:
    counts: defaultdict[str, list[int]] = defaultdict(lambda: [0, 0])
    for group in groups:
        counts[group.organization_id][0] += group.open
        counts[group.organization_id][1] += group.held
    found = [OpenOfOrganization(name, *count) for name, count in counts.items()]
    found.sort(key=lambda each: (-each.held, -each.open, each.organization_id))
    return tuple(found[:MAX_ORGANIZATIONS])
