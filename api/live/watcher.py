"""Lets hundreds of requests wait for commands, actions, jobs and chargers, with one query for all of them."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    String,
    TableValuedAlias,
    Uuid,
    bindparam,
    cast,
    column,
    exists,
    func,
    literal,
    null,
    select,
    union_all,
)
from sqlalchemy.orm import Session, sessionmaker

from api.limits.slots import Full, FullForOrganization, Slots
from api.poller import Poller
from shared.fleet.links import is_open, may_be_accepted
from shared.models import Action, Charger, Command, Job
from shared.vocabulary import IN_PROGRESS, OPEN, OPEN_ACTION

POLL_S = 0.1
# Waiters of one organization that a poll wakes: hundreds that continue at once would delay all other requests.
MAX_WOKEN_PER_POLL = 25


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Wait until the charger's provisioning is final."""

    charger_id: str


@dataclass(frozen=True, slots=True)
class Settled:
    """Wait until the charger has no open command."""

    charger_id: str


@dataclass(frozen=True, slots=True)
class Link:
    """Wait until the CSMS accepts the charger, or that can no longer happen (shared/fleet/links.py)."""

    charger_id: str
    generation: int | None = None  #: of the command to wait for; None for the newest, whichever it is


@dataclass(frozen=True, slots=True)
class Actions:
    """Wait until all of the actions are final."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Finished:
    """Wait until the job is final."""

    job_id: int


Target = UUID | Provisioning | Settled | Link | Actions | Finished  #: a UUID is a command


@dataclass(eq=False, slots=True)
class _Waiter:
    target: Target
    organization_id: str
    woken: threading.Event = field(default_factory=threading.Event)


class Watcher:
    """One per API process. Polls all targets with one query, and only while a request waits."""

    def __init__(self, autocommit: sessionmaker[Session], slots: Slots) -> None:
        self._autocommit = autocommit
        self._slots = slots
        self._waiters: set[_Waiter] = set()
        self._pauses: set[object] = set()
        self._poller = Poller("watcher", self._poll, wanted=lambda: bool(self._waiters), every_s=POLL_S)

    def wait(self, target: Target, timeout_s: float, *, organization_id: str) -> bool:
        """Return when the target is final or gone, after timeout_s seconds at the latest, or when the server ends.

        Returns False at once if no slot is free. Errors of the database are not raised: the poller retries.
        """
        try:
            with self.slot(organization_id):
                self.wait_in_slot(target, timeout_s, organization_id=organization_id)
        except (Full, FullForOrganization):
            return False
        return True

    @contextmanager
    def slot(self, organization_id: str) -> Iterator[None]:
        """Hold a slot, for a `wait_in_slot` in the block. Raises Full, FullForOrganization."""
        self._slots.acquire(organization_id)
        try:
            yield
        finally:
            self._slots.release(organization_id)

    def wait_in_slot(self, target: Target, timeout_s: float, *, organization_id: str) -> None:
        """As `wait`, by a caller that holds a slot."""
        waiter = _Waiter(target, organization_id)
        self._waiters.add(waiter)
        try:
            self._poller.ensure_running()
            if not self._poller.closed:
                waiter.woken.wait(timeout_s)
        finally:
            self._waiters.discard(waiter)

    def pause(self, seconds: float) -> bool:
        """Return after so many seconds, or True as soon as the server ends. For a caller that holds a slot and polls by itself."""
        pause = object()
        self._pauses.add(pause)
        try:
            return self._poller.pause(seconds)
        finally:
            self._pauses.discard(pause)

    @property
    def waiting(self) -> int:
        """The number of requests that wait now."""
        return len(self._waiters) + len(self._pauses)

    def close(self) -> None:
        """Wake all waiters, and return at once from every later `wait`."""
        self._poller.close()
        for waiter in list(self._waiters):
            waiter.woken.set()

    def _poll(self) -> None:
        waiters = list(self._waiters)
        ended = self._ended({waiter.target for waiter in waiters})
        woken: Counter[str] = Counter()
        for waiter in waiters:
            if waiter.target in ended and woken[waiter.organization_id] < MAX_WOKEN_PER_POLL:
                woken[waiter.organization_id] += 1
                self._waiters.discard(waiter)
                waiter.woken.set()

    def _ended(self, targets: Collection[Target]) -> set[Target]:
        """The targets that have been reached. Raises SQLAlchemyError; all waiters then wait for the next poll."""
        links = [target for target in targets if isinstance(target, Link)]
        parameters = {
            "commands": [target for target in targets if isinstance(target, UUID)],
            "chargers": [target.charger_id for target in targets if isinstance(target, Provisioning)],
            "unsettled": [target.charger_id for target in targets if isinstance(target, Settled)],
            "links": [link.charger_id for link in links],
            "generations": [link.generation for link in links],
            "jobs": [target.job_id for target in targets if isinstance(target, Finished)],
            "actions": [_listed(target) for target in targets if isinstance(target, Actions)],
        }
        with self._autocommit() as session:
            rows = session.execute(_ENDED, parameters).all()
        return {_target(*row) for row in rows}


def _target(kind: str, id_: str, generation: int | None) -> Target:
    match kind:
        case "command":
            return UUID(id_)
        case "provisioning":
            return Provisioning(id_)
        case "settled":
            return Settled(id_)
        case "job":
            return Finished(int(id_))
        case "actions":
            return Actions(tuple(map(int, id_.split(","))))
    return Link(id_, generation)


def _listed(target: Actions) -> str:
    return ",".join(map(str, target.ids))


def _ids(name: str, type_: type[String | Uuid[UUID] | BigInteger]) -> TableValuedAlias:
    """The ids of an array parameter, as rows."""
    ids = func.unnest(bindparam(name, type_=ARRAY(type_)))
    return ids.table_valued(column("id", type_)).render_derived(f"{name}_waited_for")


_NO_GENERATION = cast(null(), Integer)
_commands = _ids("commands", Uuid)
_chargers = _ids("chargers", String)
_unsettled = _ids("unsettled", String)
_jobs = _ids("jobs", BigInteger)
_links = (
    func.unnest(bindparam("links", type_=ARRAY(String)), bindparam("generations", type_=ARRAY(Integer)))
    .table_valued(column("id", String), column("generation", Integer))
    .render_derived("links_waited_for")
)
_actions = _ids("actions", String)
_ENDED = union_all(
    select(literal("actions"), _actions.c.id, _NO_GENERATION).where(
        ~exists().where(
            Action.id == func.any(cast(func.string_to_array(_actions.c.id, ","), ARRAY(BigInteger))),
            Action.status.in_(OPEN_ACTION),
        )
    ),
    select(literal("command"), cast(_commands.c.id, String), _NO_GENERATION).where(
        ~exists().where(Command.id == _commands.c.id, Command.status.in_(OPEN))
    ),
    select(literal("job"), cast(_jobs.c.id, String), _NO_GENERATION).where(
        ~exists().where(Job.id == _jobs.c.id, Job.finished_at.is_(None))
    ),
    select(literal("settled"), _unsettled.c.id, _NO_GENERATION).where(~is_open(_unsettled.c.id)),
    select(literal("link"), _links.c.id, _links.c.generation).where(
        ~may_be_accepted(_links.c.id, _links.c.generation)
    ),
    select(literal("provisioning"), _chargers.c.id, _NO_GENERATION).where(
        ~exists().where(
            Charger.id == _chargers.c.id,
            Charger.deleted_at.is_(None),
            Charger.provisioning_status.in_(IN_PROGRESS),
        )
    ),
)
