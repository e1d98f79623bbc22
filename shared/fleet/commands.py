"""Record starts, stops and restarts, and read the history of commands.

`record_command` is the plain way and the specification. `record_commands` does the same for many requests in one
statement; a property test compares the two.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, func, select, text
from sqlalchemy.orm import Session, aliased, with_expression
from sqlalchemy.sql.base import ExecutableOption

from shared.fleet.errors import CommandNotFound, NotReady
from shared.fleet.page import Page
from shared.fleet.receipts import CommandReceipt, receipt_of
from shared.fleet.scope import get_charger, lock_charger
from shared.ids import new_command_id
from shared.models import Charger, Command
from shared.vocabulary import PUBLISH_GRACE, CommandStatus, EventType, ProvisioningStatus


@dataclass(frozen=True, slots=True)
class LifecycleRequest:
    """A client's request to start, stop or restart a charger."""

    event_type: EventType
    charger_id: str
    organization_id: str
    requested_by: str
    request_id: str | None
    command_id: UUID = field(default_factory=new_command_id)


def record_command(session: Session, request: LifecycleRequest) -> CommandReceipt:
    """Record the request as the charger's newest command. Raises ChargerNotFound, NotReady.

    Needs a transaction: the charger's row stays locked until it ends. A repeat of the newest command, while that is
    open, changes nothing and returns its receipt; a restart after that is another command.
    """
    charger = lock_charger(session, organization_id=request.organization_id, charger_id=request.charger_id)
    if charger.provisioning_status == ProvisioningStatus.FAILED:
        raise NotReady("The charger's provisioning failed: it has no runtime. Delete and create it again")
    if charger.provisioning_status != ProvisioningStatus.READY:
        raise NotReady(f"The charger is {charger.provisioning_status}: it has no runtime yet")
    is_open = charger.settled_generation < charger.generation
    if is_open and charger.newest_event_type == request.event_type:
        return receipt_of(charger, repeated=True)
    charger.generation += 1
    charger.desired_count = 0 if request.event_type == EventType.STOP_CHARGER else 1
    if request.event_type == EventType.RESET_CHARGER:
        charger.restart_generation = charger.generation
    add_command(
        session,
        charger,
        request.event_type,
        command_id=request.command_id,
        requested_by=request.requested_by,
        request_id=request.request_id,
    )
    session.flush()
    return receipt_of(charger)


def record_commands(
    connection: Connection, requests: Sequence[LifecycleRequest]
) -> dict[UUID, CommandReceipt]:
    """Record many requests in one statement, without waiting for any lock. Returns the receipts by command id.

    Skips repeats, chargers that do not exist or are not ready, chargers that another transaction has locked, and all
    but the first request for a charger. Call `record_command` for the requests without a receipt.
    """
    firsts = {request.charger_id: request for request in reversed(requests)}.values()
    rows = connection.execute(
        _RECORD_COMMANDS,
        {
            "command_ids": [request.command_id for request in firsts],
            "charger_ids": [request.charger_id for request in firsts],
            "organization_ids": [request.organization_id for request in firsts],
            "event_types": [request.event_type.value for request in firsts],
            "requested_by": [request.requested_by for request in firsts],
            "request_ids": [request.request_id for request in firsts],
        },
    )
    receipts = (CommandReceipt(**row) for row in rows.mappings())
    return {receipt.command_id: receipt for receipt in receipts}


# PostgreSQL reads the lengths of the arrays when it plans, so it looks each charger up by its key. When a charger was
# changed after the statement began, UPDATE takes the newest row, and with it the newest generation (READ COMMITTED).
_RECORD_COMMANDS = text(f"""
WITH requested AS (
    SELECT * FROM unnest(
        CAST(:command_ids AS uuid[]), CAST(:charger_ids AS text[]), CAST(:organization_ids AS text[]),
        CAST(:event_types AS text[]), CAST(:requested_by AS text[]), CAST(:request_ids AS text[])
    ) AS requested (command_id, charger_id, organization_id, event_type, requested_by, request_id)
), locked AS (
    SELECT requested.*
    FROM requested JOIN chargers ON chargers.id = requested.charger_id
    WHERE chargers.organization_id = requested.organization_id
        AND chargers.deleted_at IS NULL
        AND chargers.provisioning_status = 'READY'
        AND NOT (chargers.newest_event_type = requested.event_type AND settled_generation < generation)
    FOR NO KEY UPDATE OF chargers SKIP LOCKED
), changed AS (
    UPDATE chargers SET
        generation = generation + 1,
        desired_count = CASE event_type WHEN 'stop_charger' THEN 0 ELSE 1 END,
        restart_generation = CASE event_type WHEN 'reset_charger' THEN generation + 1 ELSE restart_generation END,
        newest_command_id = command_id,
        newest_event_type = event_type,
        attempts = 0,
        not_before = NULL,
        publish_at = now() + interval '{PUBLISH_GRACE.total_seconds():g} s'
    FROM locked WHERE chargers.id = locked.charger_id
    RETURNING locked.*, identity, ocpp_version, generation, desired_count, service_status, provisioning_status,
        workflow_run_id, placement, host_id
), recorded AS (
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, requested_by, request_id, generation, status, attempts
    )
    SELECT
        command_id, charger_id, organization_id, event_type, requested_by, request_id, generation, 'queued', 0
    FROM changed
)
SELECT
    charger_id, identity, ocpp_version, event_type, command_id, generation, desired_count, service_status,
    provisioning_status, workflow_run_id, placement, host_id
FROM changed
""")  # noqa: S608  # our own constant


def list_commands(
    session: Session, *, organization_id: str, charger_id: str, page: int, limit: int
) -> Page[Command]:
    """The charger's commands, newest first. Raises ChargerNotFound."""
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    of_charger = Command.charger_id == charger_id
    total = session.scalar(select(func.count()).select_from(Command).where(of_charger)) or 0
    rows = session.scalars(
        _shown().where(of_charger).order_by(Command.generation.desc()).limit(limit).offset((page - 1) * limit)
    ).all()
    return Page(rows, total)


def get_command(session: Session, *, organization_id: str, charger_id: str, command_id: UUID) -> Command:
    """One command. Raises ChargerNotFound, CommandNotFound."""
    get_charger(session, organization_id=organization_id, charger_id=charger_id)
    command = read_command(session, command_id)
    if command is None or command.charger_id != charger_id:
        raise CommandNotFound(str(command_id))
    return command


def read_command(session: Session, command_id: UUID) -> Command | None:
    """The command with all that clients see of it; None when there is none. The organization is not checked."""
    return session.scalars(_shown().where(Command.id == command_id)).one_or_none()


def _shown() -> Select[Command]:
    return select(Command).options(*of_other_rows()).execution_options(populate_existing=True)


def of_other_rows() -> tuple[ExecutableOption, ExecutableOption]:
    """Options of a query that read what other rows say about its commands. The query may read chargers, too."""
    newer, charger = aliased(Command), aliased(Charger)
    superseded_by = (
        select(newer.id)
        .where(
            Command.status == CommandStatus.SUPERSEDED,
            newer.charger_id == Command.charger_id,
            newer.generation > Command.generation,
        )
        .order_by(newer.generation)
        .limit(1)
        .scalar_subquery()
    )
    next_attempt_at = (
        select(charger.not_before)
        .where(
            Command.status == CommandStatus.QUEUED,
            charger.id == Command.charger_id,  # the key: no index has newest_command_id
            charger.newest_command_id == Command.id,
        )
        .scalar_subquery()
    )
    return (
        with_expression(Command.superseded_by, superseded_by),
        with_expression(Command.next_attempt_at, next_attempt_at),
    )


def add_command(
    session: Session,
    charger: Charger,
    event_type: EventType,
    *,
    requested_by: str,
    request_id: str | None,
    command_id: UUID | None = None,
    now: Any = None,
) -> None:
    """Record a command of the charger's generation. The row is locked or new. Publishing is the caller's last step.

    `now` is the database's clock as a value, for a caller that writes many rows: those with expressions are written one by one.
    """
    charger.newest_command_id = command_id or new_command_id()
    charger.newest_event_type = event_type
    charger.attempts = 0
    charger.not_before = None
    charger.publish_at = (func.now() if now is None else now) + PUBLISH_GRACE
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
