"""The chargers of a location that a client names: lists them, and deletes them a portion at a time."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.errors import InvalidCharger
from shared.fleet.listing import Filters, Sort, SortKey, count_chargers, list_chargers
from shared.fleet.locations.scope import get_location
from shared.fleet.page import Page
from shared.fleet.receipts import CommandReceipt
from shared.fleet.removal import record_deletions
from shared.models import Charger

MAX_NAMED = 1_000  # chargers in one request (contract 13, item 16)
PORTION = 100  # chargers in one transaction, which is over in some hundredths of a second
SHOWN_IDS = 10  #: unknown ids that an error names


def list_location_chargers(
    session: Session,
    *,
    organization_id: str,
    location_id: str,
    charger_ids: Sequence[str] | None,
    page: int,
    limit: int,
) -> Page[Charger]:
    """The location's chargers, or those of the ids; newest first.

    Raises LocationNotFound, and InvalidCharger for an id that no charger of the location has.
    """
    get_location(session, organization_id=organization_id, location_id=location_id)
    offset = (page - 1) * limit
    if charger_ids is not None:
        return _named(session, organization_id, location_id, charger_ids, offset=offset, limit=limit)
    filters = Filters(location_id=location_id)
    total = count_chargers(session, organization_id=organization_id, filters=filters)
    found = list_chargers(
        session,
        organization_id=organization_id,
        filters=filters,
        sort=Sort(SortKey.CREATED_AT, descending=True),
        limit=limit,
        offset=offset,
    )
    return Page(found.rows, total)


def delete_portion(
    session: Session,
    charger_ids: Sequence[str],
    *,
    organization_id: str,
    location_id: str,
    requested_by: str,
    request_id: str | None,
) -> list[CommandReceipt]:
    """Delete those of the chargers that are in the location, as `delete_charger` does. Returns their receipts.

    Needs a transaction of its own, which locks the chargers in the order of their ids.
    """
    here = _here(organization_id, location_id, charger_ids).with_only_columns(Charger.id)
    locked = session.scalars(here.order_by(Charger.id).with_for_update(key_share=True)).all()
    return record_deletions(session, locked, requested_by=requested_by, request_id=request_id)


def _named(
    session: Session,
    organization_id: str,
    location_id: str,
    charger_ids: Sequence[str],
    *,
    offset: int,
    limit: int,
) -> Page[Charger]:
    here = _here(organization_id, location_id, charger_ids)
    named = set(charger_ids)
    total = session.scalar(here.with_only_columns(func.count())) or 0
    if total < len(named):
        missing = sorted(named - set(session.scalars(here.with_only_columns(Charger.id))))
        raise InvalidCharger(_not_here(missing, location_id), param="charger_ids")
    rows = session.scalars(
        here.options(joinedload(Charger.link), joinedload(Charger.command))
        .order_by(Charger.id.desc())
        .limit(limit)
        .offset(offset)
    ).all()
    return Page(rows, total)


def _here(organization_id: str, location_id: str, charger_ids: Sequence[str]) -> Select[Any]:
    """Those of the chargers that are in the location."""
    return select(Charger).where(
        Charger.id.in_(charger_ids),
        Charger.organization_id == organization_id,
        Charger.location_id == location_id,
        Charger.deleted_at.is_(None),
    )


def _not_here(ids: Sequence[str], location_id: str) -> str:
    shown = ", ".join(ids[:SHOWN_IDS])
    more = f" and {len(ids) - SHOWN_IDS} more" if len(ids) > SHOWN_IDS else ""
    return f"Location {location_id} has no chargers {shown}{more}"
