"""Read specifications, many in a statement: what the control link sends to chargers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import structlog
from sqlalchemy import ARRAY, BigInteger, Select, Text, cast, func, select
from sqlalchemy.orm import Session

from shared.fleet.specification.settings import Stored
from shared.fleet.specification.variables import variables_of
from shared.models import Charger, ChargerSettings
from shared.sealing import CannotOpen, Sealer

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


def changed_specifications(
    session: Session, revisions: Mapping[str, int], sealer: Sealer
) -> list[Specification]:
    """The same for the chargers whose specification is newer than the revision in `revisions`, by charger id."""
    ids, numbers = cast(list(revisions), ARRAY(Text)), cast(list(revisions.values()), ARRAY(BigInteger))
    known = func.unnest(ids, numbers).table_valued("id", "revision", name="known").render_derived()
    newer = _SPECIFIED.join(known, known.c.id == Charger.id).where(
        ChargerSettings.revision > cast(known.c.revision, BigInteger)
    )
    return list(_read(session, newer, sealer))


def _read(session: Session, statement: Select[*tuple[Any, ...]], sealer: Sealer) -> Iterator[Specification]:
    for row in session.execute(statement):
        try:
            secrets = Stored(row.settings, row.sealed).secrets(sealer)
        except CannotOpen as error:
            log.warning("specification.cannot_open", charger_id=row.id, error=str(error))
        else:
            yield Specification(row.id, row.revision, variables_of(row, row.settings, secrets))
