"""Read a job that creates the chargers of a location, and what it created."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from shared.fleet.errors import JobNotFound
from shared.fleet.jobs.read import ShownJob, get_job
from shared.fleet.listing import read_chargers
from shared.models import Charger, Job, JobItem
from shared.vocabulary import ItemResult, JobAction

READ_AT_ONCE = 100  # chargers: between two queries other requests get their turn
#: The results of final items whose charger was not created, or is gone.
NOT_CREATED = (ItemResult.FAILED, ItemResult.SUPERSEDED, ItemResult.SKIPPED, ItemResult.CANCELLED)
CANCELLED = "The job was cancelled before the charger was created"


def get_creation(session: Session, *, organization_id: str, location_id: str, job_id: int) -> ShownJob:
    """The job that creates chargers of the location. Raises JobNotFound."""
    found = get_job(session, organization_id=organization_id, job_id=job_id)
    if found.job.action != JobAction.CREATE or found.job.location_id != location_id:
        raise JobNotFound(job_id)
    return found


class Failed(NamedTuple):
    """A charger that was not created."""

    identity: str
    error: str
    reason_code: str | None


def created_chargers(session: Session, job: Job) -> Iterator[Sequence[Charger]]:
    """The chargers that the job created, as lists show them, some at a time. Leaves out those that were deleted since."""
    created = select(JobItem.charger_id).where(
        JobItem.job_id == job.id, JobItem.result == ItemResult.SUCCEEDED
    )
    ids = session.scalars(created.order_by(JobItem.position)).all()
    for first in range(0, len(ids), READ_AT_ONCE):
        yield read_chargers(session, job.organization_id, ids[first : first + READ_AT_ONCE])


def failed_items(session: Session, job: Job) -> list[Failed]:
    """What the job did not create, and why."""
    items = session.scalars(
        select(JobItem)
        .where(JobItem.job_id == job.id, JobItem.result.in_(NOT_CREATED))
        .order_by(JobItem.position)
    )
    return [Failed(item.identity, item.reason or CANCELLED, item.reason_code) for item in items]
