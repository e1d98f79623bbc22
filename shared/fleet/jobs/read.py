"""Read jobs and their items, and pause, resume or cancel a job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from shared.fleet.errors import JobEnded, JobNotFound, NothingToRetry
from shared.fleet.jobs.accept import MAX_CHARGERS, JobRequest, Selection
from shared.fleet.jobs.create import CreateAgainRequest
from shared.fleet.page import Page
from shared.models import Charger, Job, JobItem
from shared.vocabulary import ItemResult, JobAction, JobStatus


class ShownJob(NamedTuple):
    """A job, and the database's clock when it was read."""

    job: Job
    now: datetime


def get_job(session: Session, *, organization_id: str, job_id: int) -> ShownJob:
    """The organization's job. Raises JobNotFound."""
    found = session.execute(
        select(Job, func.now().label("now")).where(Job.id == job_id, Job.organization_id == organization_id)
    ).one_or_none()
    if found is None:
        raise JobNotFound(job_id)
    return ShownJob(*found)


def read_jobs(session: Session, job_ids: Iterable[int]) -> list[ShownJob]:
    """Those of the jobs that exist. The organization is not checked."""
    rows = session.execute(select(Job, func.now().label("now")).where(Job.id.in_(job_ids)))
    return [ShownJob(*row) for row in rows]


def list_jobs(
    session: Session,
    *,
    organization_id: str,
    statuses: Sequence[str] | None,
    actions: Sequence[str] | None,
    location_id: str | None,
    page: int,
    limit: int,
) -> Page[ShownJob]:
    """The organization's jobs that match, newest first."""
    conditions = [Job.organization_id == organization_id]
    if statuses is not None:
        conditions.append(Job.status.in_(statuses))
    if actions is not None:
        conditions.append(Job.action.in_(actions))
    if location_id is not None:
        conditions.append(Job.location_id == location_id)
    total = session.scalar(select(func.count()).select_from(Job).where(*conditions)) or 0
    rows = session.execute(
        select(Job, func.now().label("now"))
        .where(*conditions)
        .order_by(Job.id.desc())
        .limit(limit)
        .offset((page - 1) * limit)
    )
    return Page([ShownJob(*row) for row in rows], total)


def list_items(
    session: Session,
    *,
    organization_id: str,
    job_id: int,
    results: Sequence[str] | None,
    page: int,
    limit: int,
) -> Page[JobItem]:
    """The job's items with one of the results, in their order. Raises JobNotFound."""
    job = get_job(session, organization_id=organization_id, job_id=job_id).job
    shown = tuple(ItemResult) if results is None else results
    query = select(JobItem).where(JobItem.job_id == job_id)
    if results is not None:
        query = query.where(JobItem.result.in_(results))
    rows = session.scalars(query.order_by(JobItem.position).limit(limit).offset((page - 1) * limit)).all()
    return Page(rows, sum(getattr(job, result) for result in shown))


def change_job(
    session: Session, *, organization_id: str, job_id: int, status: JobStatus, changed_by: str
) -> ShownJob:
    """Pause, resume (RUNNING) or cancel a job, between two portions. Returns it. A repeat changes nothing.

    Commands that are recorded already go on. Needs a transaction. Raises JobNotFound, and JobEnded for a job that is final or
    cancelled, unless that is what is requested.
    """
    own = (Job.id == job_id, Job.organization_id == organization_id)
    found = session.execute(
        select(Job, func.now().label("now")).where(*own).with_for_update(of=Job, key_share=True)
    ).one_or_none()
    if found is None:
        raise JobNotFound(job_id)
    job: Job = found.Job
    if job.status == status:
        return ShownJob(job, found.now)
    if job.finished_at is not None or job.status == JobStatus.CANCELLED:
        raise JobEnded(job_id, job.status)
    job.status = status
    job.changed_by = changed_by
    job.next_at = found.now
    job.waits_for = None
    job.ramp_from, job.ramped = None, 0
    job.pace, job.paced_at, job.paced_from = 0.0, None, None
    session.flush()
    return ShownJob(job, found.now)


@dataclass(frozen=True, slots=True)
class RetryRequest:
    """A client's request to try again what failed in a job."""

    job_id: int
    organization_id: str
    requested_by: str
    request_id: str | None


def retry_of(session: Session, request: RetryRequest) -> JobRequest | CreateAgainRequest:
    """The request that repeats the job for its failed items whose chargers still exist, or that creates those that failed.

    Raises JobNotFound, NothingToRetry.
    """
    organization_id, job_id = request.organization_id, request.job_id
    client: Any = {name: getattr(request, name) for name in ("organization_id", "requested_by", "request_id")}
    job = get_job(session, organization_id=organization_id, job_id=job_id).job
    if job.action == JobAction.CREATE:
        return CreateAgainRequest(job_id, **client)
    failed: Select[str] = (
        select(JobItem.charger_id)
        .join(Charger, Charger.id == JobItem.charger_id)
        .where(
            JobItem.job_id == job_id,
            JobItem.result == ItemResult.FAILED,
            Charger.organization_id == organization_id,
            Charger.deleted_at.is_(None),
        )
        .order_by(JobItem.position)
        .limit(MAX_CHARGERS)
    )
    charger_ids = tuple(session.scalars(failed))
    if not charger_ids:
        raise NothingToRetry(job_id)
    return JobRequest(
        action=JobAction(job.action),
        selection=Selection(charger_ids=charger_ids),
        rate_per_second=job.rate_per_second,
        retry_of=job_id,
        **client,
    )
