"""What bounds the portions of a job: other work, quotas, its ramp, and who pauses or cancels it."""

from collections import Counter
from datetime import timedelta
from time import monotonic

from sqlalchemy import func, select, update

from shared.models import Command, Job
from shared.vocabulary import JobAction, JobStatus
from tests.support.world import World
from tests.worker.jobs.jobs import QUOTAS, Jobs, several
from worker.jobs.run import BUDGET, PORTION, WINDOW, run_steps


def test_a_portion_bounds_how_many_commands_wait_for_workers(world: World, jobs: Jobs) -> None:
    several(world, 2 * WINDOW + 20)
    job = jobs.accept(JobAction.STOP)

    jobs.run()
    first = jobs.read(job)
    jobs.run()
    second = jobs.read(job)
    with world.sessions.begin() as session:
        of_job = select(Command.id).where(Command.job_id == job.job_id).limit(30)
        session.execute(update(Command).where(Command.id.in_(of_job)).values(status="applied"))
    jobs.run()

    assert PORTION <= WINDOW
    assert (first.requested, second.requested) == (WINDOW, WINDOW)
    assert second.waits_for == "Waits until workers have passed the commands before to ECS"
    assert jobs.read(job).requested == WINDOW + 30


def test_a_job_says_that_it_waits_for_the_rate_budget(world: World, jobs: Jobs) -> None:
    several(world, WINDOW + 1)
    job = jobs.accept(JobAction.STOP)
    jobs.run()
    with world.sessions.begin() as session:
        session.execute(update(Command).values(held_since=func.now()))

    jobs.run()

    assert jobs.read(job).waits_for == BUDGET


def test_a_job_waits_for_the_quota_of_open_commands_and_leaves_room_for_others(
    world: World, jobs: Jobs
) -> None:
    several(world, 15)
    job = jobs.accept(JobAction.STOP)

    jobs.run(max_open_commands=10)
    jobs.run(max_open_commands=10)
    waiting = jobs.read(job)
    jobs.finish()
    jobs.run(max_open_commands=10)

    assert (waiting.requested, waiting.waiting) == (9, 6)
    assert waiting.waits_for == "Waits for the quota of open commands: jobs may fill 9 of 10"
    assert (jobs.read(job).requested, jobs.read(job).succeeded) == (6, 9)


def test_a_paused_job_records_nothing_but_notes_results(world: World, jobs: Jobs) -> None:
    several(world, 3)
    job = jobs.accept(JobAction.STOP, rate_per_second=1)
    jobs.run()
    jobs.change(job, JobStatus.PAUSED)

    jobs.finish()
    jobs.run()
    paused = jobs.read(job)
    jobs.change(job, JobStatus.RUNNING)
    jobs.run()

    assert (paused.succeeded, paused.waiting, paused.next_at) == (1, 2, None)
    assert jobs.results(job) == ["succeeded", "requested", "waiting"]


def test_a_cancelled_job_ends_when_its_open_commands_have(world: World, jobs: Jobs) -> None:
    several(world, 3)
    job = jobs.accept(JobAction.STOP, rate_per_second=1)
    jobs.run()
    jobs.change(job, JobStatus.CANCELLED)

    jobs.run()
    open_still = jobs.read(job)
    jobs.finish()
    jobs.run()

    assert (open_still.finished_at, open_still.requested, open_still.cancelled) == (None, 1, 2)
    ended = jobs.read(job)
    assert (ended.status, ended.finished_at is not None) == (JobStatus.CANCELLED, True)
    assert Counter(jobs.results(job)) == {"succeeded": 1, "cancelled": 2}


def test_a_ramp_records_as_many_commands_as_its_rate_allows(world: World, jobs: Jobs) -> None:
    """A second passes between two runs, and what the runs take."""
    several(world, 60)
    job = jobs.accept(JobAction.STOP, rate_per_second=4)
    began = monotonic()
    jobs.run()

    for seconds in range(1, 11):
        with world.sessions.begin() as session:
            session.execute(update(Job).values(ramp_from=Job.ramp_from - timedelta(seconds=1)))
        jobs.run()
        assert 4 * seconds <= jobs.read(job).requested - 1 <= 4 * (seconds + monotonic() - began)


def test_a_late_ramp_catches_up_a_little_and_moves(world: World, jobs: Jobs) -> None:
    several(world, 60)
    job = jobs.accept(JobAction.STOP, rate_per_second=2)
    jobs.run()
    with world.sessions.begin() as session:
        session.execute(update(Job).values(ramp_from=Job.ramp_from - timedelta(seconds=600)))

    jobs.run()
    caught_up = jobs.read(job)
    jobs.run()

    assert caught_up.requested == 1 + 10
    assert jobs.read(job).requested == 11
    assert jobs.read(job).waits_for == "Ramp: 2 per second"


def test_without_a_job_that_is_due_nothing_is_written(world: World, jobs: Jobs) -> None:
    assert run_steps(world.sessions, jobs.published.extend, QUOTAS) == 0
