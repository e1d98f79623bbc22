"""Lets requests wait for commands. Hundreds may: a waiting one costs neither a thread nor a connection."""

import threading
from collections.abc import Collection
from dataclasses import dataclass, field
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    String,
    Uuid,
    bindparam,
    cast,
    column,
    exists,
    false,
    func,
    select,
    true,
    union_all,
)
from sqlalchemy.orm import Session, sessionmaker

from api.places import Full, FullForOrganization, Places
from api.polling import Poller
from api.services.chargers import IN_PROGRESS
from shared.commands import OPEN
from shared.models import Charger, Command

POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Provisioning:
    """Of a charger: something that one can wait for, as one can for a command."""

    charger_id: str


Target = UUID | Provisioning


@dataclass(eq=False, slots=True)
class _Waiter:
    target: Target
    woken: threading.Event = field(default_factory=threading.Event)


class Watcher:
    """One per API process. It asks for everything that is waited for at once, and only while somebody waits."""

    def __init__(self, statements: sessionmaker[Session], places: Places) -> None:
        self._statements = statements
        self._places = places
        self._waiters: set[_Waiter] = set()
        self._poller = Poller("watcher", self._look, wanted=lambda: bool(self._waiters), every_s=POLL_S)

    def wait(self, target: Target, timeout_s: float, *, organization_id: str) -> bool:
        """Return when the target is final or gone, after timeout_s at the latest, or when the server ends.

        False, at once, when as many wait as may.
        """
        try:
            self._places.take(organization_id)
        except (Full, FullForOrganization):
            return False
        waiter = _Waiter(target)
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
        for waiter in waiters:
            if waiter.target in over:
                waiter.woken.set()

    def _over(self, targets: Collection[Target]) -> set[Target]:
        """Those that nobody needs to wait for any longer. While the database is away all of them wait on."""
        asked = {
            "commands": [target for target in targets if isinstance(target, UUID)],
            "chargers": [target.charger_id for target in targets if isinstance(target, Provisioning)],
        }
        with self._statements() as session:
            rows = session.execute(_OVER, asked).all()
        return {UUID(id_) if is_command else Provisioning(id_) for is_command, id_ in rows}


_commands = (
    func.unnest(bindparam("commands", type_=ARRAY(Uuid)))
    .table_valued(column("id", Uuid))
    .render_derived("commands_waited_for")
)
_chargers = (
    func.unnest(bindparam("chargers", type_=ARRAY(String)))
    .table_valued(column("id", String))
    .render_derived("chargers_waited_for")
)
_OVER = union_all(
    select(true(), cast(_commands.c.id, String)).where(
        ~exists().where(Command.id == _commands.c.id, Command.status.in_(OPEN))
    ),
    select(false(), _chargers.c.id).where(
        ~exists().where(
            Charger.id == _chargers.c.id,
            Charger.deleted_at.is_(None),
            Charger.provisioning_status.in_(IN_PROGRESS),
        )
    ),
)
