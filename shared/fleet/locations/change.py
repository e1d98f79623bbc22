"""Creates, updates and deletes locations."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from secrets import token_hex
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared.fleet.errors import LocationNotFound, SlugTaken
from shared.fleet.expiry import expires_after
from shared.fleet.jobs.accept import JobReceipt, in_order, store_job
from shared.fleet.listing import Filters, every_charger
from shared.fleet.locations.scope import own_location
from shared.ids import new_location_id
from shared.models import Location
from shared.vocabulary import JobAction

MAX_NAME_IN_SLUG = 80  # characters


@dataclass(frozen=True, slots=True)
class NewLocation:
    """What a client chooses about a new location; columns of its row."""

    name: str
    address: str
    city: str
    country: str
    coordinates: Mapping[str, float]
    timezone: str | None = None
    owner_name: str | None = None
    public: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    ttl_seconds: int | None = None  #: after which it is deleted with its chargers; None for never

    def columns(self) -> dict[str, Any]:
        """What is stored as given, by column."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "ttl_seconds"}


def create_location(session: Session, new: NewLocation, *, organization_id: str) -> Location:
    """Store a location. Returns its row. A repeat stores another one."""
    location = Location(
        organization_id=organization_id,
        id=new_location_id(),
        slug=_slug_of(new.name),
        expires_at=expires_after(new.ttl_seconds),
        **new.columns(),
    )
    session.add(location)
    session.flush()
    session.refresh(location)
    return location


def update_location(
    session: Session, changes: Mapping[str, Any], *, organization_id: str, location_id: str
) -> Location:
    """Set what `changes` names; None clears it. Returns the row. Raises LocationNotFound, SlugTaken.

    A repeat changes nothing, but counts `ttl_seconds` from then on.
    """
    query = own_location(organization_id, location_id).with_for_update(key_share=True)
    location = session.scalars(query).one_or_none()
    if location is None:
        raise LocationNotFound(location_id)
    columns = {name: value for name, value in changes.items() if name != "ttl_seconds"}
    changed = {name: value for name, value in columns.items() if getattr(location, name) != value}
    if "ttl_seconds" in changes:
        changed["expires_at"] = expires_after(changes["ttl_seconds"])
    for name, value in changed.items():
        setattr(location, name, value)
    if changed:
        location.updated_at = func.now()
    try:
        session.flush()
    except IntegrityError as error:
        raise SlugTaken(str(changes.get("slug"))) from error
    session.refresh(location)
    return location


def delete_location(
    session: Session, *, organization_id: str, location_id: str, requested_by: str, request_id: str | None
) -> JobReceipt | None:
    """Hide the location from clients, and delete its chargers with a job. Returns the job's receipt; None without chargers.

    No charger comes into it after that: who puts one there holds `lock_location`, which this waits for. The quota of open
    jobs does not count, because a deletion is never refused. Raises LocationNotFound for a location that never existed; a
    repeat changes nothing.
    """
    location = session.get(Location, (organization_id, location_id), with_for_update=True)
    if location is None:
        raise LocationNotFound(location_id)
    if location.deleted_at is not None:
        return None
    location.deleted_at = func.now()
    session.flush()
    chargers = every_charger(organization_id, Filters(location_id=location_id))
    if session.scalar(select(chargers.exists())) is not True:
        return None
    job = store_job(
        session,
        in_order(chargers),
        organization_id=organization_id,
        action=JobAction.DELETE.value,
        requested_by=requested_by,
        request_id=request_id,
        location_id=location_id,
    )
    return JobReceipt(job.id, JobAction.DELETE.value, job.total)


def _slug_of(name: str) -> str:
    """The name in lower case with hyphens, and 8 random hex digits (contract 5)."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:MAX_NAME_IN_SLUG].rstrip("-")
    return f"{words or 'location'}-{token_hex(4)}"
