"""Reads and locks a location through its organization."""

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from shared.fleet.errors import LocationNotFound
from shared.models import Location


def own_location(organization_id: str, location_id: str) -> Select[Location]:
    """Select the organization's location unless it is deleted."""
    return (
        select(Location)
        .where(
            Location.organization_id == organization_id,
            Location.id == location_id,
            Location.deleted_at.is_(None),
        )
        .execution_options(populate_existing=True)
    )


def get_location(session: Session, *, organization_id: str, location_id: str) -> Location:
    """The location's row. Raises LocationNotFound."""
    return _one(session, own_location(organization_id, location_id), location_id)


def lock_location(session: Session, *, organization_id: str, location_id: str) -> Location:
    """The row, which cannot be deleted until the transaction ends: for those who put chargers into it. Raises LocationNotFound.

    Others may put chargers into it and change it at the same time.
    """
    query = own_location(organization_id, location_id).with_for_update(read=True, key_share=True)
    return _one(session, query, location_id)


def lock_location_alone(session: Session, *, organization_id: str, location_id: str) -> Location:
    """The row, of which `lock_location` waits until the transaction ends. Raises LocationNotFound."""
    query = own_location(organization_id, location_id).with_for_update()
    return _one(session, query, location_id)


def _one(session: Session, query: Select[Location], location_id: str) -> Location:
    location = session.scalars(query).one_or_none()
    if location is None:
        raise LocationNotFound(location_id)
    return location
