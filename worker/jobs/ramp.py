"""Plan when a job records its commands, and estimate how fast its items become final."""

from datetime import datetime, timedelta
from math import exp, floor

from shared.fleet.jobs.estimate import PACE_S
from shared.models import Job

CATCH_UP_S = 5.0  # of a ramp that is late, by an outage say; the rest of the delay moves the ramp
ROUNDING = 1e-6  # of a command


def due_by_ramp(job: Job, rate: float, now: datetime) -> int:
    """How many commands the rate (per second) allows now. The first call begins the ramp.

    The nth command of a ramp is planned (n - 1) / rate seconds after the first.
    """
    if job.ramp_from is None:
        job.ramp_from, job.ramped = now, 0
    allowed = floor((now - job.ramp_from).total_seconds() * rate + ROUNDING) + 1 - job.ramped
    max_commands = max(1, floor(CATCH_UP_S * rate))
    if allowed > max_commands:
        job.ramp_from = now - timedelta(seconds=(max_commands - 1 + job.ramped) / rate)
        allowed = max_commands
    return max(0, allowed)


def next_by_ramp(job: Job, rate: float, now: datetime) -> datetime:
    """When the next command of the ramp is planned."""
    return (job.ramp_from or now) + timedelta(seconds=job.ramped / rate)


def measure_pace(job: Job, now: datetime, became_final: int) -> None:
    """Update the job's pace: a mean whose weights fade within PACE_S."""
    if job.paced_at is None:
        job.paced_at = job.paced_from = now
    faded = exp(-(now - job.paced_at).total_seconds() / PACE_S)
    job.pace = job.pace * faded + became_final / PACE_S
    job.paced_at = now
