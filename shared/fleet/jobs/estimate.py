"""Estimate when a job ends, from its rate and its pace."""

from math import exp

from shared.models import Job
from shared.vocabulary import JobStatus

PACE_S = 60.0  # the time that a job's pace is the mean of
MIN_PACE = 1e-3  # items per second; a slower pace is no estimate


def eta_s(job: Job) -> float | None:
    """Seconds until the last item is final. None for a job that is paused or final, or that has no pace yet."""
    if job.finished_at is not None or job.status == JobStatus.PAUSED:
        return None
    estimates = []
    if job.rate_per_second is not None and job.status == JobStatus.RUNNING:
        estimates.append(job.waiting / job.rate_per_second)
    pace = pace_of(job)
    if pace >= MIN_PACE:
        left = job.waiting + job.requested if job.status == JobStatus.RUNNING else job.requested
        estimates.append(left / pace)
    return max(estimates, default=None)


def pace_of(job: Job) -> float:
    """Items that become final per second. `Job.pace` grows from 0: this is the mean over the time that it is measured for."""
    if job.paced_at is None or job.paced_from is None or job.paced_at <= job.paced_from:
        return 0.0
    return job.pace / (1 - exp(-(job.paced_at - job.paced_from).total_seconds() / PACE_S))
