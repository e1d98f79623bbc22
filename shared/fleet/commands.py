"""Start, stop and restart, and the history of what was asked."""

from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    JSON,
    Connection,
    Select,
    Text,
    Uuid,
    bindparam,
    case,
    cast,
    column,
    func,
    insert,
    literal_column,
    not_,
    select,
    update,
)
from sqlalchemy.orm import Session

from shared.fleet.errors import CommandNotFound, NotReady
from shared.fleet.page import Page
from shared.fleet.receipts import CommandReceipt, receipt_of
from shared.fleet.scope import get_charger
from shared.ids import new_command_id
from shared.models import Charger, Command
from shared.vocabulary import PUBLISH_GRACE, CommandStatus, EventType, ProvisioningStatus

MOST = 100  # wishes in one statement


@dataclass(frozen=True, slots=True)
class LifecycleRequest:
    """A start, stop or restart that somebody asks for."""

    event_type: EventType
    charger_id: str
    organization_id: str
    requested_by: str
    request_id: str | None
    command_id: UUID = field(default_factory=new_command_id)


def record_command(session: Session, wish: LifecycleRequest) -> CommandReceipt:
    """Put the wish on record. Raises ChargerNotFound, NotReady.

    A repeat while the command is open is the same command; a restart after that is another one.
    """
    while True:
        found = _accept(session.connection(), _ACCEPT, [wish])
        answer = found.get(wish.command_id) or _repeated(session, wish)
        if answer is not None:
            return answer


def record_commands(connection: Connection, wishes: Sequence[LifecycleRequest]) -> dict[UUID, CommandReceipt]:
    """Put the wishes, at most MOST, on record that can be at once, in one statement. Returns those, by their command's id.

    What is left is for `ask`: a repeat, a charger that somebody else holds at the moment or that is asked
    for twice, or none at all. So no wish waits for the charger of another one.
    """
    return _accept(connection, _ACCEPT_UNLOCKED, wishes)


def list_commands(
    session: Session, *, organization_id: str, charger_id: str, page: int, limit: int
) -> Page[Command]:
    """What was asked of the charger, newest first. Raises ChargerNotFound."""
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    of_charger = Command.charger_id == charger_id
    total = session.scalar(select(func.count()).select_from(Command).where(of_charger)) or 0
    rows = session.scalars(
        select(Command)
        .where(of_charger)
        .order_by(Command.generation.desc())
        .limit(limit)
        .offset((page - 1) * limit)
    ).all()
    return Page(rows, total)


def get_command(session: Session, *, organization_id: str, charger_id: str, command_id: UUID) -> Command:
    """One command. Raises ChargerNotFound, CommandNotFound."""
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    command = session.get(Command, command_id)
    if command is None or command.charger_id != charger_id:
        raise CommandNotFound(str(command_id))
    return command


def add_command(
    session: Session, charger: Charger, event_type: EventType, *, requested_by: str, request_id: str | None
) -> None:
    """Record what was asked of a charger whose row is locked or new. Publishing is the caller's last step."""
    charger.newest_command_id = new_command_id()
    charger.newest_event_type = event_type
    charger.attempts = 0
    charger.not_before = None
    charger.publish_at = func.now() + PUBLISH_GRACE
    session.add(
        Command(
            id=charger.newest_command_id,
            charger_id=charger.id,
            organization_id=charger.organization_id,
            event_type=event_type,
            generation=charger.generation,
            requested_by=requested_by,
            request_id=request_id,
        )
    )


#: A wish, as columns.
ASKED: dict[str, type[Text | Uuid[UUID]]] = {
    "command_id": Uuid,
    "event_type": Text,
    "charger_id": Text,
    "organization_id": Text,
    "requested_by": Text,
    "request_id": Text,
}
#: What is answered: the fields of CommandReceipt, of the wish or the charger's row.
ANSWERED = [each.name for each in fields(CommandReceipt) if each.default is MISSING]


def _accept_statement(*, skip_locked: bool) -> Select[Any]:
    """The chargers' new wishes and their commands, in one statement, which is its own transaction.

    No row comes back where there is nothing to do: no such charger, not ready, or a repeat of the newest
    command while that is still open. (A parameter named like a column would be taken for a new value of it.)
    """
    wishes = (
        func.json_to_recordset(cast(bindparam("wishes", type_=Text), JSON))
        .table_valued(*(column(name, type_) for name, type_ in ASKED.items()))
        .render_derived("wishes", with_types=True)
    )
    # PostgreSQL expects 100 rows of such a function, and would read all of a fleet of some thousands for them. Of a
    # limit that it does not know it expects a tenth. (A parameter it knows, and plans anew for each value.)
    limit = select(literal_column(str(MOST))).scalar_subquery()
    asked = select(wishes).limit(limit).subquery("asked")
    repeat = (Charger.newest_event_type == asked.c.event_type) & (
        Charger.settled_generation < Charger.generation
    )
    locked = (
        select(asked)
        .join(Charger, Charger.id == asked.c.charger_id)
        .where(
            Charger.organization_id == asked.c.organization_id,
            Charger.deleted_at.is_(None),
            Charger.provisioning_status == ProvisioningStatus.READY,
            not_(repeat),
        )
        .with_for_update(of=Charger, key_share=True, skip_locked=skip_locked)
        .cte("locked")
    )
    next_generation = Charger.generation + 1
    bumped = (
        update(Charger)
        .where(Charger.id == locked.c.charger_id)
        .values(
            generation=next_generation,
            desired_count=case((locked.c.event_type == EventType.STOP_CHARGER, 0), else_=1),
            restart_generation=case(
                (locked.c.event_type == EventType.RESET_CHARGER, next_generation),
                else_=Charger.restart_generation,
            ),
            newest_command_id=locked.c.command_id,
            newest_event_type=locked.c.event_type,
            attempts=0,
            not_before=None,
            publish_at=func.now() + PUBLISH_GRACE,
        )
        .returning(
            *(Charger.__table__.c[name] for name in ANSWERED if name not in ASKED),
            *(locked.c[name] for name in ASKED),
        )
        .cte("bumped")
    )
    recorded = (
        insert(Command)
        .from_select(
            ["id", *(name for name in ASKED if name != "command_id"), "generation", "status", "attempts"],
            select(
                *(bumped.c[name] for name in ASKED),
                bumped.c.generation,
                literal_column(f"'{CommandStatus.QUEUED}'"),
                literal_column("0"),
            ),
        )
        .cte("recorded")
    )
    return select(*(bumped.c[name] for name in ANSWERED)).add_cte(recorded)


#: Built once: building one costs more than running it.
_ACCEPT = _accept_statement(skip_locked=False)
_ACCEPT_UNLOCKED = _accept_statement(skip_locked=True)


def _accept(
    connection: Connection, statement: Select[Any], wishes: Sequence[LifecycleRequest]
) -> dict[UUID, CommandReceipt]:
    rows = connection.execute(statement, {"wishes": orjson.dumps(wishes).decode()})
    found = (CommandReceipt(*row) for row in rows)
    return {one.command_id: one for one in found if one.command_id is not None}


def _repeated(session: Session, wish: LifecycleRequest) -> CommandReceipt | None:
    """The open command that already asks for it. Raises NotReady, ChargerNotFound.

    None when the charger became ready, or was asked for something else, since the wish was turned down.
    """
    charger = get_charger(session, organization_id=wish.organization_id, charger_id=wish.charger_id)
    if charger.provisioning_status == ProvisioningStatus.FAILED:
        raise NotReady("The charger's provisioning failed: it has no runtime. Delete and create it again")
    if charger.provisioning_status != ProvisioningStatus.READY:
        raise NotReady(f"The charger is {charger.provisioning_status}: it has no runtime yet")
    is_open = charger.settled_generation < charger.generation
    if is_open and charger.newest_event_type == wish.event_type:
        return receipt_of(charger, repeated=True)
    return None
