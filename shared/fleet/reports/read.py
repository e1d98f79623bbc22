"""Read the report of a job or of a location: three statements, whatever the number of its chargers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.fleet.errors import ReportTooLarge
from shared.fleet.jobs.read import get_job
from shared.fleet.locations.scope import get_location
from shared.fleet.reports.chargers import (
    MAX_CHARGERS,
    ReportedCharger,
    awaits_csms,
    chargers_of_job,
    chargers_of_location,
)
from shared.fleet.reports.frames import FrameCounts, count_frames

#: The longest time whose frames a report counts.
MAX_RANGE = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Range:
    """The time whose frames are counted; None for the default."""

    start: datetime | None = None
    end: datetime | None = None

    def between(self, first: datetime, now: datetime) -> tuple[datetime, datetime]:
        """Both instants, at most MAX_RANGE apart: from `first` on, until now, unless given."""
        if self.start is None and self.end is not None:
            start = min(first, self.end)
            return (start if self.end - start <= MAX_RANGE else self.end - MAX_RANGE), self.end
        start = self.start or first
        if self.end is not None:
            return start, self.end
        if start >= now:
            return start, start
        return start, now if now - start <= MAX_RANGE else start + MAX_RANGE


@dataclass(frozen=True, slots=True)
class Subject:
    """What a report is about: a job, or a location."""

    job_id: int | None
    action: str | None  #: of the job
    location_id: str | None
    name: str | None  #: of the location


@dataclass(frozen=True, slots=True)
class Report:
    """The report of a job or of a location."""

    subject: Subject
    generated_at: datetime
    start: datetime
    end: datetime
    until_accepted: bool  #: what the chargers' seconds measure; else until the command was final
    chargers: Sequence[ReportedCharger]
    frames: FrameCounts


def report_of_job(session: Session, *, organization_id: str, job_id: int, during: Range) -> Report:
    """The report of the organization's job, final or not. Raises JobNotFound."""
    job, now = get_job(session, organization_id=organization_id, job_id=job_id)
    chargers = chargers_of_job(session, organization_id=organization_id, job_id=job_id, action=job.action)
    return _report(
        session,
        Subject(job.id, job.action, job.location_id, None),
        chargers,
        now,
        during.between(job.created_at, now),
        until_accepted=awaits_csms(job.action),
    )


def report_of_location(session: Session, *, organization_id: str, location_id: str, during: Range) -> Report:
    """The report of the organization's location: each charger since its newest start. The frames are those since the first of
    these starts, but not of more than MAX_RANGE ago.

    Raises LocationNotFound, and ReportTooLarge when it has more than MAX_CHARGERS.
    """
    location = get_location(session, organization_id=organization_id, location_id=location_id)
    chargers = chargers_of_location(session, organization_id=organization_id, location_id=location_id)
    if len(chargers) > MAX_CHARGERS:
        raise ReportTooLarge(location_id, MAX_CHARGERS)
    now = session.scalars(select(func.now())).one()
    starts = [charger.requested_at for charger in chargers if charger.requested_at is not None]
    first = max(min(starts, default=now), now - MAX_RANGE)
    return _report(
        session,
        Subject(None, None, location.id, location.name),
        chargers,
        now,
        during.between(first, now),
        until_accepted=True,
    )


def _report(
    session: Session,
    subject: Subject,
    chargers: Sequence[ReportedCharger],
    now: datetime,
    between: tuple[datetime, datetime],
    *,
    until_accepted: bool,
) -> Report:
    start, end = between
    frames = count_frames(session, [charger.charger_id for charger in chargers], start=start, end=end)
    return Report(subject, now, start, end, until_accepted, chargers, frames)
