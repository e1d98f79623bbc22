"""Chargers without pages: all that a list's filters match, or those with some ids."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.orm import Session, joinedload

from shared.fleet.listing.filters import Filters, is_live, match_location, matches
from shared.fleet.listing.search import all_with_labels
from shared.models import Charger


def every_charger(organization_id: str, filters: Filters) -> Select[Any]:
    """Their ids, identities and generations, oldest first. Reads all of the organization's chargers once, unless the
    filters name a location, an identity or labels."""
    columns = Charger.__table__.c
    every = (
        select(columns.id, columns.identity, columns.generation)
        .where(*is_live(organization_id), *match_location(filters), *matches(filters))
        .order_by(columns.id)
    )
    if filters.labels is None:
        return every
    return every.where(columns.id.in_(all_with_labels(organization_id, filters.labels)))


def read_chargers(session: Session, organization_id: str, charger_ids: Sequence[str]) -> list[Charger]:
    """The organization's chargers with the ids, as a list shows them, in the order of the ids. Leaves out deleted ones."""
    rows = session.scalars(
        select(Charger)
        .where(*is_live(organization_id), Charger.id.in_(charger_ids))
        .options(joinedload(Charger.link), joinedload(Charger.command))
    )
    found = {charger.id: charger for charger in rows}
    return [found[charger_id] for charger_id in charger_ids if charger_id in found]
