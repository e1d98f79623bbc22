"""Each run of a maintenance task is recorded on the task's row, whichever worker it ran on."""

import pytest
from sqlalchemy import text

from shared.database.engine import Sessions
from shared.maintenance import Run, last_runs, lateness
from shared.models import MaintenanceRun
from shared.queues import TaskName
from shared.settings import Settings
from worker.ecs.client import EcsUnavailable
from worker.maintenance.runs import record_run


def row(sessions: Sessions) -> MaintenanceRun:
    with sessions() as session:
        return session.get_one(MaintenanceRun, TaskName.OBSERVE)


def succeed(sessions: Sessions, *tasks: TaskName) -> None:
    for task in tasks:
        with record_run(sessions, task):
            pass


def fail(sessions: Sessions, reason: str) -> None:
    with pytest.raises(EcsUnavailable), record_run(sessions, TaskName.OBSERVE):
        raise EcsUnavailable(reason)


def test_a_run_that_fails_leaves_the_time_of_the_last_success_and_says_why(sessions: Sessions) -> None:
    succeed(sessions, TaskName.OBSERVE)
    good = row(sessions)
    fail(sessions, "ECS is away\nand more")
    fail(sessions, "ECS is slow")
    bad = row(sessions)
    succeed(sessions, TaskName.OBSERVE)
    good_again = row(sessions)

    assert (good.failures, good.error, good.succeeded_at) == (0, None, good.finished_at)
    assert (bad.failures, bad.error) == (2, "EcsUnavailable: ECS is slow")
    assert bad.succeeded_at == good.finished_at < bad.finished_at
    assert (good_again.failures, good_again.error) == (2, "EcsUnavailable: ECS is slow")
    assert good_again.succeeded_at == good_again.finished_at


def test_the_first_run_may_fail(sessions: Sessions) -> None:
    fail(sessions, "ECS is away")

    with sessions() as session:
        [run] = last_runs(session)
    assert (run.task, run.age_s, run.failures) == ("maintenance.observe", None, 1)


def test_a_task_is_late_when_it_has_not_succeeded_for_three_periods_and_a_minute(
    sessions: Sessions, settings: Settings
) -> None:
    succeed(
        sessions,
        TaskName.SWEEP,
        TaskName.OBSERVE,
        TaskName.RUN_JOBS,
        TaskName.EXPIRE,
        TaskName.KEEP_HOSTS,
        TaskName.ROLLOUTS,
        TaskName.CLEAN_UP,
    )
    with sessions.begin() as session:
        in_time = lateness(last_runs(session), settings.timing)
        session.execute(
            text(
                "UPDATE maintenance_runs SET succeeded_at = succeeded_at - interval '67 seconds' "
                "WHERE task IN ('maintenance.sweep', 'maintenance.clean_up')"
            )
        )
        late = lateness(last_runs(session), settings.timing)

    assert in_time == "maintenance.read_logs has not succeeded yet"
    assert late == (
        "maintenance.sweep has not succeeded for more than 66 s; maintenance.read_logs has not succeeded yet"
    )


def test_ages_are_computed_with_the_databases_clock(sessions: Sessions) -> None:
    succeed(sessions, TaskName.SWEEP)
    with sessions.begin() as session:
        session.execute(text("UPDATE maintenance_runs SET succeeded_at = now() - interval '90 seconds'"))
        runs = last_runs(session)

    assert runs == [Run("maintenance.sweep", 90.0, runs[0].duration_s, 0, None)]
