"""Continue the jobs that are due, a portion each, in turns.

A step of a job is one short transaction that locks the job's row: it notes which items have become final, records the next
commands, and says when to continue. A worker that dies in a step leaves the job as it was before. Several workers share the
jobs that are due: one that another worker has locked is passed over.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from celery import Celery
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from shared.broker.app import BROKER_ERRORS, send
from shared.database.engine import Sessions
from shared.fleet.jobs.read import ShownJob
from shared.models import Job
from shared.vocabulary import ItemResult, JobAction, JobStatus
from worker.hosts.hosting import Hosting
from worker.jobs.create import create_portion
from worker.jobs.portion import (
    Messages,
    Portion,
    cancel_items,
    count_open,
    record_portion,
    settle_items,
)
from worker.jobs.ramp import due_by_ramp, measure_pace, next_by_ramp
from worker.reconcile.apply_on_hosts import apply_on_hosts

log = structlog.get_logger(__name__)

MAX_STEPS = 200  # in one run; the next one goes on
PORTION = 100  # chargers in one step
# Commands of a job that ECS has not accepted yet: what is behind them on the queue waits for so many at most.
WINDOW = 100
CANCELLED_AT_ONCE = 1_000  # items
QUOTA_SHARE = 0.9  # of the quota of open commands that jobs may fill; the rest is for single commands
STEP_S = 0.5  # between two steps of a job that waits for something: less than the second after which beat sends a run
LOCKED_S = 0.2  # until chargers that were locked are tried again
FAILED_S = 60.0  # until a job whose step failed is tried again: other jobs go first
BUDGET = "Waits for the ECS rate budget"
WORKERS = "Waits until workers have passed the commands before to ECS"

Publish = Callable[[Messages], None]


class Quotas(NamedTuple):
    """What an organization may have."""

    open_commands: int
    chargers: int


class Room(NamedTuple):
    """How many commands a job may record now, and what bounds them."""

    commands: int
    reason: str | None = None


def run_jobs(sessions: Sessions, celery: Celery, hosting: Hosting, quotas: Quotas) -> int:
    """Continue every job that is due, in the order in which they became due. Returns how many steps that took.

    Chargers on hosts get what a step has recorded at once; for the others there are messages. Safe to repeat and to call in
    several workers at once. What is neither applied nor published is published by the sweep.
    """

    def publish(messages: Messages) -> None:
        _send(celery, apply_messages(sessions, hosting, messages))

    return run_steps(sessions, publish, quotas)


def run_steps(sessions: Sessions, publish: Publish, quotas: Quotas) -> int:
    """The same, with another way to publish. What a step raises ends the run; its job is tried again FAILED_S later."""
    for steps in range(MAX_STEPS):
        job_id = None
        try:
            with sessions.begin() as session:
                due = next_due(session)
                if due is None:
                    return steps
                job_id = due.job.id
                messages = step(session, due, quotas)
        except Exception:
            if job_id is not None:
                _put_off(sessions, job_id)
            raise
        if messages:
            publish(messages)
    return MAX_STEPS


def next_due(session: Session) -> ShownJob | None:
    """The job that has been due for the longest, locked. None when no other is due than those that are locked already."""
    due = session.execute(
        select(Job, func.now().label("now"))
        .where(Job.next_at <= func.now())
        .order_by(Job.next_at)
        .limit(1)
        .with_for_update(of=Job, key_share=True, skip_locked=True)
    ).one_or_none()
    return None if due is None else ShownJob(*due)


def _put_off(sessions: Sessions, job_id: int) -> None:
    """Let the other jobs that are due go first, for FAILED_S."""
    later = func.now() + timedelta(seconds=FAILED_S)
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id, Job.next_at.is_not(None)).values(next_at=later))
    log.warning("job.failed_step", job_id=job_id, next_in_s=FAILED_S)


def step(session: Session, due: ShownJob, quotas: Quotas) -> Messages:
    """One step of the locked job. Returns the messages to publish after the commit."""
    job, now = due
    settled = settle_items(session, job)
    for result, number in settled.items():
        setattr(job, result, getattr(job, result) + number)
    job.requested -= settled.total()
    messages: Messages = []
    became_final = settled.total()
    job.next_at = now + timedelta(seconds=STEP_S)
    job.waits_for = None
    if job.status == JobStatus.CANCELLED and job.waiting:
        cancelled = cancel_items(session, job, CANCELLED_AT_ONCE)
        job.waiting -= cancelled
        job.cancelled += cancelled
        job.next_at = now
    elif job.status == JobStatus.RUNNING and job.waiting:
        portion = _record(session, job, now, quotas)
        messages = portion.messages
        became_final += portion.final
    measure_pace(job, now, became_final)
    if job.status == JobStatus.PAUSED and not job.requested:
        job.next_at = None
    if not job.waiting and not job.requested:
        _finish(job, now)
    return messages


def _record(session: Session, job: Job, now: datetime, quotas: Quotas) -> Portion:
    """Record the next portion."""
    room = _room(session, job, now, quotas.open_commands)
    if room.commands < 1:
        job.waits_for = room.reason
        if job.rate_per_second is not None:
            job.next_at = _no_later(next_by_ramp(job, job.rate_per_second, now), now)
        return Portion(requested=0, recorded=0, skipped=0, messages=[])
    max_items = min(room.commands, PORTION)
    if job.action == JobAction.CREATE:
        portion = create_portion(session, job, now, max_items, max_chargers=quotas.chargers)
    else:
        portion = record_portion(session, job, max_items)
    job.waiting -= portion.items
    job.requested += portion.requested
    job.skipped += portion.skipped
    job.failed += portion.failed
    job.ramped += portion.recorded
    log.info(
        "job.continued",
        job_id=job.id,
        organization_id=job.organization_id,
        recorded=portion.recorded,
        skipped=portion.skipped,
        failed=portion.failed,
        waiting=job.waiting,
        request_id=job.request_id,
    )
    if job.waiting:
        if portion.messages and not portion.items:  # what its items replace is deleted now
            job.next_at = now
        elif portion.items < max_items:
            job.next_at = now + timedelta(seconds=LOCKED_S)
        elif portion.recorded < room.commands or job.rate_per_second is None:
            job.next_at = now  # that step counts what there is room for
        else:
            job.next_at = _no_later(next_by_ramp(job, job.rate_per_second, now), now)
        job.waits_for = room.reason
    return portion


def _room(session: Session, job: Job, now: datetime, max_open_commands: int) -> Room:
    """The least of what the ramp, the window and the quota of open commands allow."""
    rooms = []
    if job.rate_per_second is not None:
        rooms.append(
            Room(due_by_ramp(job, job.rate_per_second, now), f"Ramp: {job.rate_per_second:g} per second")
        )
    quota = max(1, int(QUOTA_SHARE * max_open_commands))
    open_now = count_open(session, job, quota)
    rooms.append(Room(WINDOW - open_now.of_job, BUDGET if open_now.held else WORKERS))
    if job.action != JobAction.DELETE:  # deletes single chargers at any number of open commands, too
        reason = f"Waits for the quota of open commands: jobs may fill {quota:,} of {max_open_commands:,}"
        rooms.append(Room(quota - open_now.of_organization, reason))
    return min(rooms, key=lambda room: room.commands)


def _no_later(planned: datetime, now: datetime) -> datetime:
    """The planned time, but within STEP_S: items become final meanwhile."""
    return min(planned, now + timedelta(seconds=STEP_S))


def _finish(job: Job, now: datetime) -> None:
    if job.status != JobStatus.CANCELLED:
        job.status = JobStatus.FINISHED
    job.finished_at = now
    job.next_at = None
    job.waits_for = None
    log.info(
        "job.finished",
        job_id=job.id,
        organization_id=job.organization_id,
        status=job.status,
        request_id=job.request_id,
        **{result.value: getattr(job, result) for result in ItemResult if getattr(job, result)},
    )


def apply_messages(sessions: Sessions, hosting: Hosting, messages: Messages) -> Messages:
    """Apply what the messages are about, where rows alone do. Returns the messages for the other chargers."""
    applied = apply_on_hosts(sessions, hosting, [each["charger_id"] for _, each in messages])
    return [each for each in messages if each[1]["charger_id"] not in applied]


def _send(celery: Celery, messages: Messages) -> None:
    if not messages:
        return
    try:
        send(celery, messages)
    except BROKER_ERRORS as error:
        log.warning("broker.away", error=str(error), left_to_the_sweep=len(messages))
