"""Jobs: one request for many chargers, and an item for each of them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base
from shared.vocabulary import ItemResult, JobStatus

_STATUSES = ", ".join(f"'{status}'" for status in JobStatus)
_RESULTS = ", ".join(f"'{result}'" for result in ItemResult)


class Job(Base):
    """One request for many chargers. The API inserts it, workers record a portion of its commands at a time.

    The counts of its items are columns of the job: whoever changes items has locked the job, so the counts are exact, and
    a page that shows them reads one row.
    """

    __tablename__ = "jobs"

    #: Grows with each acceptance: of two jobs for a charger, the higher one wins.
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    organization_id: Mapped[str]
    action: Mapped[str]  #: as start; see JobAction
    status: Mapped[str] = mapped_column(server_default=JobStatus.RUNNING)
    changed_by: Mapped[str | None]  #: `sub` of the token that last paused, resumed or cancelled it
    rate_per_second: Mapped[float | None]  #: commands per second, at most; null for no limit
    location_id: Mapped[str | None]  #: of a job that a client began at a location
    input: Mapped[dict[str, Any] | None]  #: what its items share; null where the action needs nothing
    total: Mapped[int]  #: items

    # The items by result.
    waiting: Mapped[int]
    requested: Mapped[int] = mapped_column(server_default="0")
    succeeded: Mapped[int] = mapped_column(server_default="0")
    failed: Mapped[int] = mapped_column(server_default="0")
    superseded: Mapped[int] = mapped_column(server_default="0")
    skipped: Mapped[int] = mapped_column(server_default="0")
    cancelled: Mapped[int] = mapped_column(server_default="0")

    requested_by: Mapped[str]  #: `sub` of the token
    request_id: Mapped[str | None]
    retry_of: Mapped[int | None] = mapped_column(BigInteger)  #: the job whose failed items this one repeats
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    finished_at: Mapped[datetime | None]  #: when the last item became final

    # Scheduling: written by the worker that works on it.
    next_at: Mapped[datetime | None] = mapped_column(
        server_default=func.now()
    )  #: from then on a worker continues it; null when nothing is left to do
    waits_for: Mapped[str | None]  #: why the next portion is not recorded yet, as a sentence
    ramp_from: Mapped[datetime | None]  #: the planned time of the first command of the ramp
    ramped: Mapped[int] = mapped_column(server_default="0")  #: commands recorded since then
    pace: Mapped[float] = mapped_column(
        server_default="0"
    )  #: items that become final per second: the mean of about the last minute
    paced_at: Mapped[datetime | None]  #: when the pace was last computed
    paced_from: Mapped[datetime | None]  #: since when it is measured

    __table_args__ = (
        Index("jobs_organization", "organization_id", "id"),
        Index(
            "jobs_open",
            "organization_id",
            "id",
            postgresql_where=text("finished_at IS NULL"),
        ),
        Index("jobs_next", "next_at", postgresql_where=text("next_at IS NOT NULL")),
        Index("jobs_finished", "finished_at", postgresql_where=text("finished_at IS NOT NULL")),
        CheckConstraint(f"status IN ({_STATUSES})", name="jobs_status"),
        CheckConstraint(
            "waiting + requested + succeeded + failed + superseded + skipped + cancelled = total",
            name="jobs_no_item_is_lost",
        ),
        CheckConstraint(
            "finished_at IS NULL OR (waiting = 0 AND requested = 0 AND next_at IS NULL)",
            name="jobs_finished_is_final",
        ),
        CheckConstraint(
            "next_at IS NOT NULL OR finished_at IS NOT NULL OR status = 'paused'",
            name="jobs_unfinished_is_continued",
        ),
    )


class JobItem(Base):
    """What a job does to one charger, and the result. Stays when the charger is removed."""

    __tablename__ = "job_items"

    job_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(
        primary_key=True
    )  #: from 1: the order in which commands are recorded
    charger_id: Mapped[str]
    identity: Mapped[str]  #: of the charger when the job was accepted
    generation: Mapped[int]  #: of the charger when the job was accepted
    input: Mapped[dict[str, Any] | None]  #: for this charger only; null where the action needs nothing
    result: Mapped[str] = mapped_column(server_default=ItemResult.WAITING)
    reason: Mapped[str | None]  #: why it did not succeed, as a sentence
    reason_code: Mapped[str | None]  #: the same as a code of docs/errors.md
    command_id: Mapped[UUID | None]  #: the command that its result comes from
    requested_at: Mapped[datetime | None]  #: when the command was recorded
    finished_at: Mapped[datetime | None]

    __table_args__ = (
        # Finds the items that wait or whose commands are open, and a page of one result.
        Index("job_items_result", "job_id", "result", "position"),
        Index("job_items_charger", "charger_id", "job_id"),  # what newer jobs have done to a charger
        CheckConstraint(f"result IN ({_RESULTS})", name="job_items_result_known"),
    )
