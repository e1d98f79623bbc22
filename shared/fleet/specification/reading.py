"""Read specifications, many in a statement: what the control link sends to chargers."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ARRAY, Select, Text, cast, false, func, literal, select
from sqlalchemy.orm import Session

from shared.fleet.specification.settings import Stored
from shared.fleet.specification.variables import variables_of
from shared.models import Charger, ChargerSettings
from shared.sealing import CannotOpen, Sealer

#: More than a transaction of the API may take.
LONGEST_CHANGE = timedelta(seconds=15)

log = structlog.get_logger(__name__)


class Specification(NamedTuple):
    charger_id: str
    revision: int  #: grows with each change
    environment: dict[str, str]  #: variables of the charger's process, with its secrets in the clear


_SPECIFIED = (
    select(
        Charger.id,
        Charger.identity,
        Charger.ws_url,
        Charger.ocpp_version,
        Charger.vendor_name,
        Charger.model,
        Charger.number_of_connectors,
        Charger.connector_type,
        Charger.max_charging_power,
        Charger.name,
        Charger.location_name,
        func.coalesce(ChargerSettings.revision, 0).label("revision"),
        func.coalesce(ChargerSettings.settings, func.jsonb_build_object()).label("settings"),
        func.coalesce(ChargerSettings.sealed, func.jsonb_build_object()).label("sealed"),
    )
    .outerjoin(ChargerSettings, ChargerSettings.charger_id == Charger.id)
    .where(Charger.deleted_at.is_(None))
)


def read_specifications(session: Session, charger_ids: Sequence[str], sealer: Sealer) -> list[Specification]:
    """The specifications of these chargers, in one statement. Skips deleted ones, and logs those it cannot open."""
    wanted = Charger.id == func.any(cast(list(charger_ids), ARRAY(Text)))
    return list(_read(session, _SPECIFIED.where(wanted), sealer))


def read_changes(session: Session, since: datetime | None) -> tuple[datetime, dict[str, int]]:
    """The time by the database's clock, and the revision by charger of what has changed since.

    Some of it is older: a change is stored with the time at which its transaction began. None: nothing is read but the time.
    """
    rows = session.execute(
        select(func.now(), ChargerSettings.charger_id, ChargerSettings.revision)
        .select_from(select(literal(1)).subquery())
        .outerjoin(ChargerSettings, ChargerSettings.updated_at > since - LONGEST_CHANGE if since else false())
    ).all()
    return rows[0][0], {row.charger_id: row.revision for row in rows if row.charger_id is not None}


def _read(session: Session, statement: Select[*tuple[Any, ...]], sealer: Sealer) -> Iterator[Specification]:
    for row in session.execute(statement):
        try:
            secrets = Stored(row.settings, row.sealed).secrets(sealer)
        except CannotOpen as error:
            log.warning("specification.cannot_open", charger_id=row.id, error=str(error))
        else:
            yield Specification(row.id, row.revision, variables_of(row, row.settings, secrets))
