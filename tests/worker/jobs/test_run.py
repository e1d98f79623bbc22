"""What a job does to each charger, and the results of its items. The newest request of a charger wins."""

import pytest
from sqlalchemy import update

from shared.fleet.jobs.verdict import EVENT_OF
from shared.models import Charger, Job
from shared.queues import TASK_OF
from shared.vocabulary import CommandStatus, EventType, JobAction, JobStatus
from tests.support.world import World
from tests.worker.jobs.jobs import Jobs, several


@pytest.mark.parametrize("action", list(EVENT_OF))
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


@pytest.mark.parametrize("open_stop", [False, True])
def test_an_older_job_does_not_undo_a_newer_one_that_had_nothing_to_do(
    world: World, jobs: Jobs, *, open_stop: bool
) -> None:
    charger_id = world.ready()
    world.stop(charger_id)
    if not open_stop:
        world.work(charger_id)
    older = jobs.accept(JobAction.START)
    jobs.change(older, JobStatus.PAUSED)
    newer = jobs.accept(JobAction.STOP)
    jobs.run()
    assert jobs.results(newer) == ["requested" if open_stop else "skipped"]

    jobs.change(older, JobStatus.RUNNING)
    jobs.run()

    assert (jobs.results(older), jobs.reasons(older)) == (["skipped"], ["newer_command"])
    assert world.charger(charger_id).desired_count == 0


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
