"""Lets requests wait for commands and chargers. Hundreds may: each costs neither a thread nor a connection."""

import threading
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import (
    ARRAY,
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

from api.limits.slots import Full, FullForOrganization, Places
from api.live.poller import Poller
from shared.fleet.chargers import IN_PROGRESS
from shared.fleet.links import is_open, may_be_accepted
from shared.models import Charger, Command
from shared.vocabulary import OPEN

POLL_S = 0.1
WOKEN_AT_ONCE = (
    25  # of an organization in one poll: hundreds that go on at once would hold up everybody's requests
)


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Of a charger: something that one can wait for, as one can for a command."""

    charger_id: str


@dataclass(frozen=True, slots=True)
class Settled:
    """The charger has no open command."""

    charger_id: str


@dataclass(frozen=True, slots=True)
class Link:
    """The CSMS accepts the charger, or that cannot come any more (services/links.py)."""

    charger_id: str
    generation: int | None = None  #: of the command that is waited for; None for whichever is the newest


Target = UUID | Provisioning | Settled | Link


@dataclass(eq=False, slots=True)
class _Waiter:
    target: Target
    organization_id: str
    woken: threading.Event = field(default_factory=threading.Event)


class Watcher:
    """One per API process. It asks for everything that is waited for at once, and only while somebody waits."""

    def __init__(self, autocommit: sessionmaker[Session], places: Places) -> None:
        self._autocommit = autocommit
        self._places = places
        self._waiters: set[_Waiter] = set()
        self._poller = Poller("watcher", self._look, wanted=lambda: bool(self._waiters), every_s=POLL_S)

    def wait(self, target: Target, timeout_s: float, *, organization_id: str) -> bool:
        """Return when the target is reached, final or gone, after timeout_s at the latest, or when the server ends.

        False, at once, when as many wait as may.
        """
        try:
            self._places.take(organization_id)
        except (Full, FullForOrganization):
            return False
        waiter = _Waiter(target, organization_id)
        self._waiters.add(waiter)
        try:
            self._poller.ensure_running()
            if not self._poller.closed:
                waiter.woken.wait(timeout_s)
        finally:
            self._waiters.discard(waiter)
            self._places.give_back(organization_id)
        return True

    @property
    def waiting(self) -> int:
        """Requests that wait now."""
        return len(self._waiters)

    def close(self) -> None:
        """Wake everybody, and let nobody wait any more."""
        self._poller.close()
        for waiter in list(self._waiters):
            waiter.woken.set()

    def _look(self) -> None:
        waiters = list(self._waiters)
        over = self._over({waiter.target for waiter in waiters})
        woken: Counter[str] = Counter()
        for waiter in waiters:
            if waiter.target in over and woken[waiter.organization_id] < WOKEN_AT_ONCE:
                woken[waiter.organization_id] += 1
                self._waiters.discard(waiter)
                waiter.woken.set()

    def _over(self, targets: Collection[Target]) -> set[Target]:
        """Those that nobody needs to wait for any longer. While the database is away all of them wait on."""
        links = [target for target in targets if isinstance(target, Link)]
        parameters = {
            "commands": [target for target in targets if isinstance(target, UUID)],
            "chargers": [target.charger_id for target in targets if isinstance(target, Provisioning)],
            "unsettled": [target.charger_id for target in targets if isinstance(target, Settled)],
            "links": [link.charger_id for link in links],
            "generations": [link.generation for link in links],
        }
        with self._autocommit() as session:
            rows = session.execute(_OVER, parameters).all()
        return {_target(*row) for row in rows}


def _target(kind: str, id_: str, generation: int | None) -> Target:
    match kind:
        case "command":
            return UUID(id_)
        case "provisioning":
            return Provisioning(id_)
        case "settled":
            return Settled(id_)
    return Link(id_, generation)


def _ids(name: str, type_: type[String | Uuid[UUID]]) -> TableValuedAlias:
    """The ids of a list parameter as rows."""
    ids = func.unnest(bindparam(name, type_=ARRAY(type_)))
    return ids.table_valued(column("id", type_)).render_derived(f"{name}_waited_for")


_NO_GENERATION = cast(null(), Integer)
_commands = _ids("commands", Uuid)
_chargers = _ids("chargers", String)
_unsettled = _ids("unsettled", String)
_links = (
    func.unnest(bindparam("links", type_=ARRAY(String)), bindparam("generations", type_=ARRAY(Integer)))
    .table_valued(column("id", String), column("generation", Integer))
    .render_derived("links_waited_for")
)
_OVER = union_all(
    select(literal("command"), cast(_commands.c.id, String), _NO_GENERATION).where(
        ~exists().where(Command.id == _commands.c.id, Command.status.in_(OPEN))
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
