"""Start, stop and restart, and the history of what was asked."""

from typing import Any
from uuid import UUID

from sqlalchemy import Select, bindparam, func, insert, literal_column, not_, select, update
from sqlalchemy.orm import Session

from api.services.accepted import Accepted, accepted
from api.services.errors import CommandNotFound, NotReady
from api.services.page import Page
from api.services.scope import get_charger
from shared.commands import PUBLISH_GRACE, CommandStatus, EventType, ProvisioningStatus
from shared.ids import new_command_id
from shared.models import Charger, Command


def start_charger(
    session: Session, *, organization_id: str, requested_by: str, request_id: str | None, charger_id: str
) -> Accepted:
    """Ask for the charger to be on. A repeat is safe. Raises ChargerNotFound, NotReady."""
    return _ask(
        session,
        EventType.START_CHARGER,
        organization_id=organization_id,
        requested_by=requested_by,
        request_id=request_id,
        charger_id=charger_id,
    )


def stop_charger(
    session: Session, *, organization_id: str, requested_by: str, request_id: str | None, charger_id: str
) -> Accepted:
    """Ask for the charger to be off. A repeat is safe. Raises ChargerNotFound, NotReady."""
    return _ask(
        session,
        EventType.STOP_CHARGER,
        organization_id=organization_id,
        requested_by=requested_by,
        request_id=request_id,
        charger_id=charger_id,
    )


def restart_charger(
    session: Session, *, organization_id: str, requested_by: str, request_id: str | None, charger_id: str
) -> Accepted:
    """Ask for the running task to end and another to start. Raises ChargerNotFound, NotReady.

    A repeat while the restart is open is the same restart; afterwards it is another one.
    """
    return _ask(
        session,
        EventType.RESET_CHARGER,
        organization_id=organization_id,
        requested_by=requested_by,
        request_id=request_id,
        charger_id=charger_id,
    )


def list_commands(session: Session, *, organization_id: str, charger_id: str, page: int, limit: int) -> Page:
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


RECORDED = [
    "id",
    "charger_id",
    "organization_id",
    "event_type",
    "generation",
    "status",
    "attempts",
    "requested_by",
    "request_id",
]


def _accept_statement(event_type: EventType) -> Select[Any]:
    """The charger's new wish and its command, in one statement, which is its own transaction.

    No row comes back when there is nothing to do: no such charger, not ready, or a repeat of the newest
    command while that is still open. The row says all of it, so nothing is read under another snapshot
    than the one that is written. (A parameter named like a column would be taken for a new value of it.)
    """
    next_generation = Charger.generation + 1
    repeat = (Charger.newest_event_type == event_type) & (Charger.settled_generation < Charger.generation)
    changes: dict[str, Any] = {
        "generation": next_generation,
        "desired_count": 0 if event_type is EventType.STOP_CHARGER else 1,
        "newest_command_id": bindparam("new_command_id"),
        "newest_event_type": event_type.value,
        "attempts": 0,
        "not_before": None,
        "publish_at": func.now() + PUBLISH_GRACE,
    }
    if event_type is EventType.RESET_CHARGER:
        changes["restart_generation"] = next_generation
    bumped = (
        update(Charger)
        .where(
            Charger.id == bindparam("of_charger"),
            Charger.organization_id == bindparam("of_organization"),
            Charger.deleted_at.is_(None),
            Charger.provisioning_status == ProvisioningStatus.READY,
            not_(repeat),
        )
        .values(changes)
        .returning(
            Charger.id.label("charger_id"),
            Charger.identity,
            Charger.organization_id,
            Charger.ocpp_version,
            Charger.newest_event_type.label("event_type"),
            Charger.newest_command_id.label("command_id"),
            Charger.generation,
            Charger.desired_count,
            Charger.service_status,
            Charger.provisioning_status,
            Charger.workflow_run_id,
        )
        .cte("bumped")
    )
    recorded = (
        insert(Command)
        .from_select(
            RECORDED,
            select(
                bumped.c.command_id,
                bumped.c.charger_id,
                bumped.c.organization_id,
                bumped.c.event_type,
                bumped.c.generation,
                literal_column(f"'{CommandStatus.QUEUED}'"),
                literal_column("0"),
                bindparam("by"),
                bindparam("in_request"),
            ),
        )
        .cte("recorded")
    )
    return select(bumped).add_cte(recorded)


#: Built once: building one costs more than running it.
ACCEPT = {
    event_type: _accept_statement(event_type)
    for event_type in (EventType.START_CHARGER, EventType.STOP_CHARGER, EventType.RESET_CHARGER)
}


def _ask(
    session: Session,
    event_type: EventType,
    *,
    organization_id: str,
    requested_by: str,
    request_id: str | None,
    charger_id: str,
) -> Accepted:
    row = (
        session.connection()
        .execute(
            ACCEPT[event_type],
            {
                "of_charger": charger_id,
                "of_organization": organization_id,
                "new_command_id": new_command_id(),
                "by": requested_by,
                "in_request": request_id,
            },
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return _why_not(session, organization_id, charger_id)
    return Accepted(**{name: value for name, value in row.items() if name != "organization_id"})


def _why_not(session: Session, organization_id: str, charger_id: str) -> Accepted:
    """The repeated command, or the reason why there is none."""
    charger = get_charger(session, organization_id=organization_id, charger_id=charger_id)
    if charger.provisioning_status == ProvisioningStatus.FAILED:
        raise NotReady("The charger's provisioning failed: it has no runtime. Delete and create it again")
    if charger.provisioning_status != ProvisioningStatus.READY:
        raise NotReady(f"The charger is {charger.provisioning_status}: it has no runtime yet")
    return accepted(charger, repeated=True)
