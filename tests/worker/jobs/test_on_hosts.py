"""What jobs record for chargers on hosts is applied at once: without a message, and without a call of ECS."""

from datetime import timedelta

from sqlalchemy import func, select

from shared.broker.app import make_celery
from shared.models import Charger
from shared.queues import TaskName
from shared.vocabulary import CommandStatus, JobAction, Placement
from tests.api.conftest import closed_port
from tests.support.fake_host import FakeHost, hosts_of
from tests.support.world import HOSTING, World
from tests.worker.jobs.jobs import QUOTAS, Jobs
from worker.jobs.run import apply_messages, run_jobs


def run_without_broker(world: World) -> None:
    """A worker continues all jobs, and can publish nothing."""
    celery = make_celery(f"redis://127.0.0.1:{closed_port()}/0", publisher=False)
    run_jobs(world.sessions, celery, HOSTING, QUOTAS)


def test_a_job_that_creates_shared_chargers_places_them_without_messages(world: World, jobs: Jobs) -> None:
    job = jobs.create("1", "2", "3", "4", placement="shared")

    run_without_broker(world)

    assert [command.status for command in jobs.commands(job)] == ["applied"] * 4
    assert sorted(host.chargers for host in hosts_of(world.sessions)) == [1, HOSTING.capacity]
    assert world.ecs.services == {}


def test_a_job_stops_chargers_on_hosts_without_messages(world: World, jobs: Jobs) -> None:
    ids = [world.create(f"CP-{number}", Placement.SHARED) for number in range(2)]
    for charger_id in ids:
        world.converge(charger_id)
    host = FakeHost(world.sessions, hosts_of(world.sessions)[0].id)
    host.hello()
    host.work()
    world.observe()
    job = jobs.accept(JobAction.STOP)

    run_without_broker(world)
    host.work()
    world.observe()
    jobs.run()

    assert jobs.results(job) == ["succeeded", "succeeded"]
    assert host.running == {}


def test_only_the_other_chargers_of_a_portion_have_messages(world: World, jobs: Jobs) -> None:
    dedicated, shared = world.ready("CP-1"), world.create("CP-2", Placement.SHARED)
    world.converge(shared)
    host = FakeHost(world.sessions, hosts_of(world.sessions)[0].id)
    host.hello()
    host.work()
    world.observe()
    jobs.accept(JobAction.RESTART)
    jobs.run()

    messages = apply_messages(world.sessions, HOSTING, jobs.published)

    assert [(task, each["charger_id"]) for task, each in messages] == [(TaskName.RESTART, dedicated)]
    assert world.charger(shared).observed_generation == 2


def test_the_sweep_publishes_what_a_worker_recorded_that_died_before_it_was_applied(
    world: World, jobs: Jobs
) -> None:
    job = jobs.create("1", "2", placement="shared")

    jobs.run()  # and nothing of what follows

    with world.sessions() as session:
        due = select(Charger.id).where(Charger.publish_at <= func.now() + timedelta(seconds=3))
        assert set(session.scalars(due)) == {item.charger_id for item in jobs.items(job)}
    for item in jobs.items(job):
        world.converge(item.charger_id)
    assert {command.status for command in jobs.commands(job)} == {CommandStatus.APPLIED}
