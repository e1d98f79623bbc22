"""A job's portions: commands recorded in one statement, results taken from them, and the newest request of a charger wins."""

from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from shared.fleet.jobs.accept import JobReceipt, JobRequest, Selection, accept_job
from shared.fleet.jobs.read import change_job
from shared.fleet.jobs.verdict import EVENT_OF
from shared.fleet.listing import Filters
from shared.models import Charger, Command, Job, JobItem
from shared.queues import TASK_OF
from shared.vocabulary import CommandStatus, EventType, JobAction, JobStatus
from tests.support.world import ORGANIZATION, World
from worker.jobs.portion import Messages
from worker.jobs.run import BUDGET, PORTION, WINDOW, run_steps

MAX_OPEN = 1_000


class Jobs:
    """What clients and workers do with jobs."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.published: Messages = []

    def accept(self, action: JobAction, ids: Sequence[str] | None = None, **more: Any) -> JobReceipt:
        selection = Selection(filters=Filters()) if ids is None else Selection(charger_ids=tuple(ids))
        request = JobRequest(
            action, selection, ORGANIZATION, requested_by="tom", request_id="request-9", **more
        )
        with self.world.sessions.begin() as session:
            return accept_job(session, request, max_open=100)

    def run(self, *, max_open_commands: int = MAX_OPEN) -> None:
        """Continue every job that is not final, whenever it would be due."""
        self.make_due()
        self.run_due(max_open_commands=max_open_commands)

    def run_due(self, *, max_open_commands: int = MAX_OPEN) -> None:
        run_steps(self.world.sessions, self.published.extend, max_open_commands=max_open_commands)

    def make_due(self) -> None:
        with self.world.sessions.begin() as session:
            session.execute(update(Job).where(Job.next_at.is_not(None)).values(next_at=func.now()))

    def change(self, job: JobReceipt, status: JobStatus) -> None:
        with self.world.sessions.begin() as session:
            change_job(
                session,
                organization_id=ORGANIZATION,
                job_id=job.job_id,
                status=status,
                changed_by="tom",
            )

    def read(self, job: JobReceipt) -> Job:
        with self.world.sessions() as session:
            return session.get_one(Job, job.job_id)

    def items(self, job: JobReceipt) -> list[JobItem]:
        with self.world.sessions() as session:
            return list(
                session.scalars(
                    select(JobItem).where(JobItem.job_id == job.job_id).order_by(JobItem.position)
                )
            )

    def results(self, job: JobReceipt) -> list[str]:
        return [item.result for item in self.items(job)]

    def reasons(self, job: JobReceipt) -> list[str | None]:
        return [item.reason_code for item in self.items(job)]

    def commands(self, job: JobReceipt) -> list[Command]:
        with self.world.sessions() as session:
            return list(session.scalars(select(Command).where(Command.job_id == job.job_id)))

    def finish(self, status: CommandStatus = CommandStatus.SUCCEEDED, **more: Any) -> None:
        """What workers write when every open command has ended."""
        with self.world.sessions.begin() as session:
            session.execute(
                update(Charger).values(
                    observed_generation=Charger.generation,
                    settled_generation=Charger.generation,
                    running_count=Charger.desired_count,
                    publish_at=None,
                    observed_at=func.now(),
                )
            )
            session.execute(
                update(Command)
                .where(Command.status.in_(["queued", "applied"]))
                .values(status=status, finished_at=func.now(), **more)
            )


@pytest.fixture
def jobs(world: World) -> Jobs:
    return Jobs(world)


def several(world: World, number: int) -> list[str]:
    """Chargers that run. All but the first are copies of it."""
    first = world.ready()
    kept = [column for column in Charger.__table__.c if column.server_onupdate is None]
    with world.sessions.begin() as session:
        row = session.execute(select(*kept).where(Charger.id == first)).one()._asdict()
        copies = [
            row | {"id": f"{first}-{place:04}", "identity": f"CP-{place:04}"} for place in range(1, number)
        ]
        session.execute(insert(Charger), copies)
        return list(session.scalars(select(Charger.id).order_by(Charger.id)))


@pytest.mark.parametrize("action", list(JobAction))
def test_a_job_records_for_each_charger_what_a_single_request_records(
    world: World, jobs: Jobs, action: JobAction
) -> None:
    ids = [world.ready(f"CP-{number}") for number in range(3)]
    if action == JobAction.START:
        for charger_id in ids:
            world.stop(charger_id)
            world.work(charger_id)
    single, *others = ids
    event_type = EVENT_OF[action]
    if action == JobAction.DELETE:
        world.delete(single)
    else:
        world._record(event_type, single)

    job = jobs.accept(action, others)
    jobs.run()

    expected = world.charger(single)
    for charger_id in others:
        charger = world.charger(charger_id)
        for name in ("desired_count", "generation", "restart_generation", "newest_event_type", "attempts"):
            assert getattr(charger, name) == getattr(expected, name), name
        for name in ("deleted_at", "publish_at", "observe_at", "not_before"):
            assert (getattr(charger, name) is None) == (getattr(expected, name) is None), name
    commands = jobs.commands(job)
    assert [command.event_type for command in commands] == [event_type] * 2
    assert {(command.requested_by, command.request_id) for command in commands} == {("tom", "request-9")}
    assert sorted(
        (task, hint["charger_id"], hint["payload"]["desired_count"]) for task, hint in jobs.published
    ) == [(TASK_OF[event_type], charger_id, expected.desired_count) for charger_id in sorted(others)]


def test_a_job_of_stops_succeeds_charger_by_charger(world: World, jobs: Jobs) -> None:
    ids = [world.ready(f"CP-{number}") for number in range(3)]
    job = jobs.accept(JobAction.STOP)
    jobs.run()
    assert jobs.results(job) == ["requested"] * 3

    world.work(ids[1])
    jobs.run()
    midway = jobs.results(job)
    for charger_id in ids:
        world.work(charger_id)
    jobs.run()

    assert midway == ["requested", "succeeded", "requested"]
    assert jobs.results(job) == ["succeeded"] * 3
    row = jobs.read(job)
    assert (row.status, row.succeeded, row.next_at) == (JobStatus.FINISHED, 3, None)
    assert row.finished_at is not None
    assert all(world.charger(charger_id).running_count == 0 for charger_id in ids)


def test_a_job_of_deletes_has_succeeded_when_the_chargers_are_gone(world: World, jobs: Jobs) -> None:
    ids = [world.ready(f"CP-{number}") for number in range(2)]
    job = jobs.accept(JobAction.DELETE)
    jobs.run()
    world.work(ids[0])
    world.wait_is_over(ids[0])
    world.work(ids[0])

    jobs.run()

    assert world.gone(ids[0])
    assert jobs.results(job) == ["succeeded", "requested"]


def test_a_failed_command_fails_its_item_with_the_reason(world: World, jobs: Jobs) -> None:
    several(world, 2)
    job = jobs.accept(JobAction.RESTART)
    jobs.run()

    error = {"code": "image_unavailable", "message": "No such image", "step": None, "retryable": False}
    jobs.finish(CommandStatus.FAILED, error=error)
    jobs.run()

    assert {(item.result, item.reason, item.reason_code) for item in jobs.items(job)} == {
        ("failed", "No such image", "image_unavailable")
    }


def test_what_needs_no_command_is_skipped_and_says_why(world: World, jobs: Jobs) -> None:
    runs, stopped, deleted, new, failed = (world.ready(f"CP-{number}") for number in range(5))
    world.stop(stopped)
    world.work(stopped)
    with world.sessions.begin() as session:
        for charger_id, status in ((new, "PROVISIONING"), (failed, "FAILED")):
            session.execute(
                update(Charger).where(Charger.id == charger_id).values(provisioning_status=status)
            )
    job = jobs.accept(JobAction.STOP)
    world.delete(deleted)

    jobs.run()

    assert list(zip(jobs.results(job), jobs.reasons(job), strict=True)) == [
        ("requested", None),
        ("skipped", "already_stopped"),
        ("skipped", "deleted"),
        ("skipped", "not_provisioned"),
        ("skipped", "provisioning_failed"),
    ]
    assert [command.charger_id for command in jobs.commands(job)] == [runs]
    assert jobs.items(job)[1].reason == "The charger is stopped already"


def test_a_charger_that_is_removed_before_its_turn_is_skipped(world: World, jobs: Jobs) -> None:
    charger_id = world.ready()
    job = jobs.accept(JobAction.STOP)
    world.delete(charger_id)
    world.work(charger_id)
    world.wait_is_over(charger_id)
    world.work(charger_id)
    assert world.gone(charger_id)

    jobs.run()

    assert (jobs.results(job), jobs.reasons(job)) == (["skipped"], ["deleted"])
    assert jobs.read(job).status == JobStatus.FINISHED


def test_an_open_command_that_requests_the_same_counts_for_the_item(world: World, jobs: Jobs) -> None:
    charger_id = world.ready()
    receipt = world.stop(charger_id)
    job = jobs.accept(JobAction.STOP)

    jobs.run()

    assert [item.command_id for item in jobs.items(job)] == [receipt.command_id]
    assert (jobs.commands(job), jobs.published) == ([], [])


def test_a_later_command_of_a_client_is_not_undone_by_the_job(world: World, jobs: Jobs) -> None:
    ids = several(world, 2)
    job = jobs.accept(JobAction.START)
    receipt = world.stop(ids[1])

    jobs.run()

    assert jobs.reasons(job) == ["already_running", "newer_command"]
    assert world.charger(ids[1]).newest_command_id == receipt.command_id


def test_a_client_supersedes_a_command_of_the_job(world: World, jobs: Jobs) -> None:
    charger_id = world.ready()
    job = jobs.accept(JobAction.STOP)
    jobs.run()
    world.start(charger_id)
    world.work(charger_id)

    jobs.run()

    assert [(item.result, item.reason) for item in jobs.items(job)] == [
        ("superseded", "A newer command of the charger replaced it")
    ]
    assert world.charger(charger_id).running_count == 1


@pytest.mark.parametrize("first", ["older", "newer"])
def test_of_two_jobs_for_a_charger_the_newer_one_wins_in_any_order(
    world: World, jobs: Jobs, first: str
) -> None:
    charger_id = world.ready()
    older = jobs.accept(JobAction.RESTART)
    newer = jobs.accept(JobAction.STOP)
    order = [older, newer] if first == "older" else [newer, older]

    for job in order:
        other = newer if job is older else older
        jobs.change(other, JobStatus.PAUSED)
        jobs.run()
        jobs.change(other, JobStatus.RUNNING)

    assert world.charger(charger_id).newest_event_type == EventType.STOP_CHARGER
    jobs.finish()
    jobs.run()
    assert jobs.results(newer) == ["succeeded"]


def test_no_newer_command_keeps_a_charger_that_a_job_deletes(world: World, jobs: Jobs) -> None:
    charger_id = world.ready()
    jobs.accept(JobAction.DELETE)
    world.restart(charger_id)

    jobs.run()

    assert world.charger(charger_id).deleted_at is not None


def test_a_locked_charger_waits_for_a_later_portion_and_holds_up_no_other(world: World, jobs: Jobs) -> None:
    ids = several(world, 3)
    job = jobs.accept(JobAction.STOP)

    with world.sessions.begin() as session:
        session.get_one(Charger, ids[1], with_for_update=True)
        jobs.run()
    locked = jobs.results(job)
    jobs.run()

    assert locked == ["requested", "waiting", "requested"]
    assert jobs.results(job) == ["requested"] * 3


def test_a_job_that_another_worker_has_is_passed_over(world: World, jobs: Jobs) -> None:
    several(world, 2)
    locked, other = jobs.accept(JobAction.STOP), jobs.accept(JobAction.RESTART)

    with world.sessions.begin() as session:
        session.get_one(Job, locked.job_id, with_for_update=True)
        jobs.run_due()

    assert (jobs.read(locked).requested, jobs.read(other).requested) == (0, 2)


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
    jobs.run()
    began = monotonic()

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
    assert run_steps(world.sessions, jobs.published.extend, max_open_commands=MAX_OPEN) == 0
