"""Makes a location with the chargers of a template of the gallery."""

from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from shared.fleet.jobs.accept import JobReceipt
from shared.fleet.jobs.create import CreateManyRequest, Group, Template, accept_creation
from shared.fleet.locations.change import NewLocation, create_location
from shared.fleet.locations.templates import LocationTemplate
from shared.models import Location
from shared.sealing import Sealer

CHARGER_NAME = "Bay"  # and its number
SUFFIX_LENGTH = 3  # digits: 001, 002 ...


@dataclass(frozen=True, slots=True)
class NewChargers:
    """What a client chooses about the chargers of a template."""

    template: LocationTemplate
    ws_url: str
    identity_prefix: (
        str | None
    )  #: of the numbers that end the identities; the end of the location's slug for None
    placement: str


class NewSite(NamedTuple):
    location: Location
    job: JobReceipt  #: that creates the chargers


def create_from_template(
    session: Session,
    new: NewLocation,
    chargers: NewChargers,
    *,
    organization_id: str,
    requested_by: str,
    request_id: str | None,
    body_digests: tuple[bytes, ...],
    max_open: int,
    sealer: Sealer,
) -> NewSite:
    """Store a location, and the job that creates its chargers, which get its labels. A repeat stores another location.

    Needs a transaction, which the caller must roll back after TooManyJobs.
    """
    location = create_location(session, new, organization_id=organization_id)
    prefix = chargers.identity_prefix
    if prefix is None:
        prefix = f"{(location.slug or location.id).rpartition('-')[2]}-"
    request = CreateManyRequest(
        location_id=location.id,
        groups=_groups(chargers, prefix, dict(new.labels)),
        body_digests=body_digests,
        organization_id=organization_id,
        requested_by=requested_by,
        request_id=request_id,
    )
    return NewSite(location, accept_creation(session, request, max_open=max_open, sealer=sealer))


def _groups(chargers: NewChargers, prefix: str, labels: dict[str, str]) -> tuple[Group, ...]:
    """The groups of the template, numbered one after the other."""
    groups = []
    first = 1
    for group in chargers.template.chargers:
        template = Template(
            brand_slug=group.brand_slug,
            model_slug=group.model_slug,
            connector_type=group.connector_type,
            ws_url=chargers.ws_url,
            ocpp_version=group.ocpp_version.value,
            identity_prefix=prefix,
            template_name=CHARGER_NAME,
            labels=labels,
            placement=chargers.placement,
        )
        numbers = range(first, first + group.count)
        groups.append(Group(template, tuple(f"{number:0{SUFFIX_LENGTH}}" for number in numbers)))
        first += group.count
    return tuple(groups)
