"""The chargers of a location that a client names: lists them, and changes or deletes them a portion at a time."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.chargers import Effect, Rules, UpdateRequest, change_charger, store_settings
from shared.fleet.errors import InvalidCharger
from shared.fleet.listing import Filters, Sort, SortKey, count_chargers, list_chargers
from shared.fleet.locations.scope import get_location
from shared.fleet.page import Page
from shared.fleet.receipts import CommandReceipt, receipt_of
from shared.fleet.removal import record_deletions
from shared.fleet.specification.settings import Stored
from shared.models import Charger, ChargerSettings
from shared.sealing import NoKeys, Sealer

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


class UpdatedPortion(NamedTuple):
    """What became of a portion of an update."""

    updated: dict[str, Charger]  #: as lists show them, by id
    failed: dict[str, str]  #: why, by id
    receipts: list[CommandReceipt]  #: of the redeployments


def update_portion(
    session: Session, requests: Sequence[UpdateRequest], *, location_id: str, sealer: Sealer
) -> UpdatedPortion:
    """Change those of the chargers that are in the location, as `update_charger` does. All are of one organization.

    A change that breaks a rule leaves its charger as it is, and keeps no other. Needs a transaction of its own, which locks
    the chargers in the order of their ids. The number of statements does not depend on the number of chargers.
    """
    organization_id = requests[0].organization_id
    request_of = {request.charger_id: request for request in requests}
    here = _here(organization_id, location_id, list(request_of)).order_by(Charger.id)
    chargers: dict[str, Charger] = {
        charger.id: charger for charger in session.scalars(here.with_for_update(key_share=True))
    }
    settings_of = _settings_of(session, chargers)
    rules = Rules(session, organization_id, sealer)
    now = session.scalar(select(func.now()))  # a value: rows with expressions are written one by one
    failed = {charger_id: not_here(charger_id) for charger_id in request_of if charger_id not in chargers}
    effects: dict[str, Effect] = {}
    with session.no_autoflush:
        for charger_id, charger in chargers.items():
            before = Stored.of(settings_of.get(charger_id))
            try:
                effects[charger_id] = change_charger(
                    session, charger, before, request_of[charger_id], rules, now=now
                )
            except (InvalidCharger, NoKeys) as error:
                failed[charger_id] = str(error)
    stored_of = {each: effect.stored for each, effect in effects.items() if effect.stored is not None}
    if stored_of:
        store_settings(session, stored_of)
    session.flush()
    updated = _as_listed(session, list(effects))
    receipts = [receipt_of(updated[each]) for each, effect in effects.items() if effect.redeploys]
    return UpdatedPortion(updated, failed, receipts)


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


def not_here(charger_id: str) -> str:
    """Why a charger is left alone: another location's, another organization's and none are the same to the client."""
    return f"Charger {charger_id} not found in this location"


def _settings_of(session: Session, charger_ids: Iterable[str]) -> Mapping[str, ChargerSettings]:
    rows = session.scalars(
        select(ChargerSettings)
        .where(ChargerSettings.charger_id.in_(charger_ids))
        .execution_options(populate_existing=True)
    )
    return {row.charger_id: row for row in rows}


def _as_listed(session: Session, charger_ids: Sequence[str]) -> dict[str, Charger]:
    rows = session.scalars(
        select(Charger)
        .where(Charger.id.in_(charger_ids))
        .options(joinedload(Charger.link), joinedload(Charger.command))
        .execution_options(populate_existing=True)
    )
    return {row.id: row for row in rows}


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
