"""Read a charger's row: the newest desired state, and what earlier attempts recorded."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import structlog
from sqlalchemy import ARRAY, Connection, Row, Text, any_, bindparam, func, select

from shared.database.engine import Sessions
from shared.models import Charger, ChargerSettings, Command

log = structlog.get_logger(__name__)


class DesiredState(NamedTuple):
    """The columns of `chargers` (see shared/models) that a worker acts on, as they were when it read the row.

    A plain tuple, which costs half of an ORM object: nothing that is read from it is written back.
    """

    id: str
    organization_id: str

    placement: str
    host_id: str | None  #: that it is on, or still leaves

    # What the charger's process gets.
    identity: str
    ws_url: str
    ocpp_version: str
    vendor_name: str
    model: str
    number_of_connectors: int
    connector_type: str
    max_charging_power: int
    name: str | None
    location_name: str | None

    # What a client requested.
    desired_count: int
    generation: int
    spec_generation: int
    restart_generation: int
    deleted_at: datetime | None
    newest_command_id: UUID
    newest_event_type: str

    # What earlier attempts recorded.
    provisioning_status: str
    observed_generation: int
    task_definition_arn: str | None
    task_definition_generation: int
    restart_task_arn: str | None
    restart_task_generation: int
    running_task_arn: str | None
    service_status: str | None
    spec_hash: str | None
    rollout_hash: str | None
    drifted_at: datetime | None
    not_before: datetime | None

    settings: dict[str, Any] | None  #: beyond the contract, without secrets

    # Of its newest command.
    request_id: str | None
    job_id: int | None  #: the job that recorded it; None for a single command
    deadline_from: datetime  #: when it was requested, plus the time for which the rate budget held it back

    now: datetime  #: the database's clock when the row was read
    row: Row[Any]  #: every column: a charger that another worker removed meanwhile comes back with them

    @property
    def is_due(self) -> bool:
        """Whether there is anything to do for it now."""
        done = self.observed_generation >= self.generation and self.drifted_at is None
        early = self.not_before is not None and self.not_before > self.now
        return not done and not early


#: For how long the rate budget has held a command back, up to now.
HELD_FOR = Command.held_for + func.coalesce(func.now() - Command.held_since, timedelta())

# Built once: building the statement costs more than running it.
_EVERY = (
    select(
        Charger.__table__,
        ChargerSettings.settings,
        Command.request_id,
        Command.job_id,
        (Command.created_at + HELD_FOR).label("deadline_from"),
        func.now().label("now"),
    )
    .join(Command, Command.id == Charger.newest_command_id)
    .outerjoin(ChargerSettings, ChargerSettings.charger_id == Charger.id)
)
_NEWEST = _EVERY.where(Charger.id == bindparam("of_charger"))
_NEWEST_OF_SEVERAL = _EVERY.where(Charger.id == any_(bindparam("of_chargers", type_=ARRAY(Text))))
_COLUMNS = DesiredState._fields[:-1]


def read_desired_state(sessions: Sessions, charger_id: str) -> DesiredState | None:
    """The charger's desired state. None when there is nothing to do: ECS has it, or it must wait, or the row is gone."""
    with sessions.autocommit.connect() as connection:
        desired = newest_desired_state(connection, charger_id)
    return desired if desired is not None and desired.is_due else None


def newest_desired_state(connection: Connection, charger_id: str) -> DesiredState | None:
    """The same, whether or not there is anything to do. None when the row is gone."""
    row = connection.execute(_NEWEST, {"of_charger": charger_id}).one_or_none()
    return None if row is None else _of(row)


def newest_desired_states(connection: Connection, charger_ids: Collection[str]) -> list[DesiredState]:
    """The same of several chargers, in the order of their ids, with one statement."""
    rows = connection.execute(_NEWEST_OF_SEVERAL, {"of_chargers": list(charger_ids)})
    return [_of(row) for row in sorted(rows, key=lambda row: str(row.id))]


def _of(row: Row[Any]) -> DesiredState:
    return DesiredState._make((*(getattr(row, name) for name in _COLUMNS), row))


def log_change(desired: DesiredState, event: str, **details: object) -> None:
    """Write the line of one change of state: it names the charger, the command and the request."""
    log.info(
        event,
        charger_id=desired.id,
        command_id=str(desired.newest_command_id),
        event_type=desired.newest_event_type,
        generation=desired.generation,
        request_id=desired.request_id,
        **details,
    )
