"""What jobs share with everything else: the rate budget, the broker, and the retention of commands."""

from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from shared.broker.app import make_celery
from shared.models import Charger, Job, JobItem
from shared.vocabulary import JobAction
from tests.api.conftest import closed_port
from tests.support.world import HOSTING, World
from tests.worker.jobs.jobs import QUOTAS, Jobs, several
from worker.ecs import budget
from worker.ecs.turns import Priority
from worker.jobs.run import run_jobs
from worker.maintenance import prune
from worker.maintenance.prune import prune_jobs


@pytest.mark.parametrize("action", [JobAction.STOP, JobAction.DELETE])
def test_single_commands_go_before_those_of_a_job_at_the_rate_budget(
    world: World, jobs: Jobs, action: JobAction
) -> None:
    ids = [world.ready(f"CP-{number}") for number in range(2)]
    jobs.accept(action, ids[:1])
    jobs.run()
    world.stop(ids[1])
    taken: list[Priority] = []

    for charger_id in ids:
        world.ecs.script.append(lambda: taken.append(budget._caller.get().priority))
        world.converge(charger_id)

    assert taken == [Priority.JOB, Priority.LIFECYCLE]
    assert Priority.PROVISIONING < Priority.REMOVAL < Priority.JOB < Priority.UPKEEP


def test_commands_and_single_creates_go_before_the_creates_of_a_job_at_the_rate_budget(
    world: World, jobs: Jobs
) -> None:
    stopped = world.ready()
    job = jobs.create("1")
    jobs.run()
    single = world.create("CP-2")
    world.stop(stopped)
    taken: list[Priority] = []

    for charger_id in (jobs.items(job)[0].charger_id, single, stopped):
        world.ecs.script.append(lambda: taken.append(budget._caller.get().priority))
        world.converge(charger_id)

    assert taken == [Priority.JOB, Priority.PROVISIONING, Priority.LIFECYCLE]


def test_a_job_goes_on_while_the_broker_is_away(world: World, jobs: Jobs) -> None:
    charger_id = world.ready()
    job = jobs.accept(JobAction.STOP)
    celery = make_celery(f"redis://127.0.0.1:{closed_port()}/0", publisher=False)

    run_jobs(world.sessions, celery, HOSTING, QUOTAS)

    assert jobs.results(job) == ["requested"]
    with world.sessions() as session:  # the sweep publishes it
        due = select(Charger.id).where(Charger.publish_at <= func.now() + timedelta(seconds=3))
        assert session.scalars(due).all() == [charger_id]


def test_a_job_that_cannot_go_on_holds_up_no_other(world: World, jobs: Jobs) -> None:
    """Such as one of a newer release, after an update was taken back."""
    charger_id = world.ready()
    unknown, stop = jobs.accept(JobAction.STOP, [charger_id]), jobs.accept(JobAction.STOP, [charger_id])
    with world.sessions.begin() as session:
        of_newer = update(Job).where(Job.id == unknown.job_id)
        session.execute(of_newer.values(action="dance", next_at=func.now() - timedelta(seconds=5)))

    with pytest.raises(ValueError, match="dance"):
        jobs.run_due()
    jobs.run_due()

    assert jobs.results(unknown) == ["waiting"]
    assert jobs.results(stop) == ["requested"]


def test_jobs_that_ended_long_ago_are_pruned_with_their_items(
    world: World, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    several(world, 3)
    old, young, running = (jobs.accept(JobAction.STOP) for _ in range(3))
    with world.sessions.begin() as session:
        for job, days in ((old, 91), (young, 89)):
            session.execute(
                update(Job)
                .where(Job.id == job.job_id)
                .values(
                    waiting=0,
                    succeeded=3,
                    next_at=None,
                    finished_at=func.now() - timedelta(days=days),
                    created_at=func.now() - timedelta(days=100),
                )
            )
        session.execute(
            update(Job).where(Job.id == running.job_id).values(created_at=func.now() - timedelta(days=100))
        )

    pruned = prune_jobs(world.sessions, 90)

    with world.sessions() as session:
        kept = session.scalars(select(Job.id).order_by(Job.id)).all()
        items = session.scalars(select(JobItem.job_id).distinct().order_by(JobItem.job_id)).all()
    assert (pruned, kept, items) == (4, [young.job_id, running.job_id], [young.job_id, running.job_id])
