"""All chargers that a list's filters match, without pages."""

from typing import Any

from sqlalchemy import Select, select

from shared.fleet.listing.filters import Filters, is_live, match_places, matches
from shared.fleet.listing.search import all_with_labels
from shared.models import Charger


def every_charger(organization_id: str, filters: Filters) -> Select[Any]:
    """Their ids, identities and generations, oldest first. Reads all of the organization's chargers once, unless the
    filters name a location, a host, an identity or labels."""
    columns = Charger.__table__.c
    every = (
        select(columns.id, columns.identity, columns.generation)
        .where(*is_live(organization_id), *match_places(filters), *matches(filters))
        .order_by(columns.id)
    )
    if filters.labels is None:
        return every
    return every.where(columns.id.in_(all_with_labels(organization_id, filters.labels)))
