"""All chargers that a list's filters match, without pages."""

from typing import Any

from sqlalchemy import Select, select

from shared.fleet.listing.filters import Filters, is_live, match_location, matches
from shared.models import Charger


def every_charger(organization_id: str, filters: Filters) -> Select[Any]:
    """Their ids, identities and generations, oldest first. Reads all of the organization's chargers once, unless the
    filters name a location or an identity."""
    columns = Charger.__table__.c
    return (
        select(columns.id, columns.identity, columns.generation)
        .where(*is_live(organization_id), *match_location(filters), *matches(filters))
        .order_by(columns.id)
    )
