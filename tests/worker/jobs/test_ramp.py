"""The plan of a ramp, on a clock of the test's own."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from shared.fleet.jobs.estimate import eta_s
from shared.models import Job
from shared.vocabulary import JobStatus
from worker.jobs.ramp import due_by_ramp, measure_pace, next_by_ramp

BEGAN = datetime(2026, 4, 2, tzinfo=UTC)


def times_of(rate: float, commands: int, *, seed: int = 1) -> list[float]:
    """When each command is recorded, in seconds, by a worker that looks in every second or so."""
    chance = random.Random(seed)
    job, now = Job(ramped=0), 0.0
    times: list[float] = []
    while len(times) < commands:
        allowed = min(due_by_ramp(job, rate, BEGAN + timedelta(seconds=now)), commands - len(times))
        job.ramped += allowed
        times += [now] * allowed
        now += chance.uniform(0.9, 1.4)
    return times


@pytest.mark.parametrize("rate", [0.2, 1, 2, 3.7, 20])
def test_a_ramp_keeps_its_rate_within_5_percent(rate: float) -> None:
    times = times_of(rate, commands=int(150 * rate))

    assert times[-1] == pytest.approx((len(times) - 1) / rate, rel=0.05)


@pytest.mark.parametrize("rate", [0.2, 2, 20])
def test_no_command_of_a_ramp_is_early(rate: float) -> None:
    for number, at in enumerate(times_of(rate, commands=int(150 * rate))):
        assert at >= number / rate - 1e-6


def test_a_slow_ramp_says_when_its_next_command_is_planned() -> None:
    job = Job(ramped=0)
    job.ramped += due_by_ramp(job, 0.1, BEGAN)

    assert next_by_ramp(job, 0.1, BEGAN) == BEGAN + timedelta(seconds=10)
    assert due_by_ramp(job, 0.1, BEGAN + timedelta(seconds=9.9)) == 0
    assert due_by_ramp(job, 0.1, BEGAN + timedelta(seconds=10)) == 1


def test_a_ramp_that_was_away_does_not_catch_up_but_for_five_seconds() -> None:
    job = Job(ramped=0)
    job.ramped += due_by_ramp(job, 2, BEGAN)
    later = BEGAN + timedelta(hours=1)

    job.ramped += due_by_ramp(job, 2, later)

    assert job.ramped == 1 + 10
    assert due_by_ramp(job, 2, later) == 0
    assert due_by_ramp(job, 2, later + timedelta(seconds=0.5)) == 1


def test_the_estimate_follows_the_pace_and_the_rate() -> None:
    job = Job(
        status=JobStatus.RUNNING, waiting=90, requested=10, rate_per_second=None, pace=0.0, finished_at=None
    )
    unknown = eta_s(job)
    for second in range(31):
        measure_pace(job, BEGAN + timedelta(seconds=second), became_final=5 if second else 0)
    by_pace = eta_s(job)
    job.rate_per_second = 0.5
    by_rate = eta_s(job)
    job.status = JobStatus.PAUSED

    assert unknown is None
    assert by_pace == pytest.approx(100 / 5, rel=0.1)
    assert by_rate == 180
    assert eta_s(job) is None
