"""The answers about locations."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from shared.fleet.locations.counts import count_chargers_at
from shared.models import Location


def shown(session: Session, location: Location) -> dict[str, Any]:
    """As LocationAnswer shows it, with the numbers of its chargers."""
    return all_shown(session, [location], organization_id=location.organization_id)[0]


def all_shown(session: Session, rows: Sequence[Location], *, organization_id: str) -> list[dict[str, Any]]:
    """The same of several locations of the organization, with one query."""
    ids = [location.id for location in rows]
    counts = count_chargers_at(session, organization_id=organization_id, location_ids=ids)
    columns = Location.__table__.c.keys()
    return [
        {**{name: getattr(location, name) for name in columns}, "chargers": counts[location.id]}
        for location in rows
    ]
