"""Define the Celery tasks: one per name in shared/queues.py, each a few lines around a plain function.

A task acts on the charger's id alone: the row may have changed while the message waited.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import wraps
from typing import Any

import structlog
from celery import Task
from celery.signals import celeryd_after_setup
from sqlalchemy.exc import SQLAlchemyError

from shared.database.schema import schema_trouble_of
from shared.queues import TASK_OF, TaskName
from worker.celery_app import app
from worker.ecs.client import EcsRejected, EcsUnavailable
from worker.jobs.run import Quotas, run_jobs
from worker.logs.client import LOG_ERRORS
from worker.logs.numbers import prune_numbers
from worker.logs.partitions import prune_logs
from worker.logs.read import read_late_logs, read_logs
from worker.maintenance.expire import expire_chargers, expire_locations
from worker.maintenance.keep_hosts import keep_hosts
from worker.maintenance.leftovers import remove_leftovers, remove_orphans
from worker.maintenance.prune import (
    prune_actions,
    prune_commands,
    prune_events,
    prune_jobs,
    prune_keys,
    prune_locations,
    prune_logs_of_deleted,
    prune_specs,
)
from worker.maintenance.rollout import roll_out
from worker.maintenance.runs import record_run
from worker.maintenance.sweep import sweep
from worker.observe.observe import observe
from worker.outage_log import DatabaseOutageLog, OutageLog
from worker.reconcile.coalesce import CoalescingQueue
from worker.reconcile.converge import converge, record_internal_error
from worker.reconcile.provision import fleet_spec
from worker.reports.row import prune_workers
from worker.resources import Resources, resources

log = structlog.get_logger(__name__)

# Errors that they suppress are made good by the sweep or by the next run.
database = DatabaseOutageLog()
ecs = OutageLog("ecs", EcsUnavailable, EcsRejected)
cloudwatch = OutageLog("logs", *LOG_ERRORS)

chargers = CoalescingQueue()  #: that this process is converging


@celeryd_after_setup.connect
def report_schema(**_: object) -> None:
    """Write a line, before the worker takes its first message, if its work cannot succeed with the database's schema."""
    try:
        trouble = schema_trouble_of(resources().sessions.autocommit)
    except SQLAlchemyError as error:
        database.failed(error)
        return
    if trouble is not None:
        log.error("schema.behind", error=trouble)


def converge_charger(*, charger_id: str, **_for_flower: object) -> None:
    """Make ECS match the charger's row. The message's other arguments are for Flower only. Safe to repeat."""
    process = resources()

    def converge_row() -> None:
        converge(process.sessions, process.ecs, process.settings.timing, charger_id, process.hosting)

    with database.suppress():
        chargers.process(charger_id, converge_row)


class ConvergeTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """Records what a task raises on the charger's row, besides Celery's log line."""

    def on_failure(
        self, exc: Exception, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any
    ) -> None:
        """Must not raise: Celery would leave the message unacknowledged and lose one prefetch slot."""
        charger_id = kwargs.get("charger_id")
        try:
            if isinstance(charger_id, str):
                process = resources()
                with database.suppress():
                    record_internal_error(process.sessions, process.settings.timing, charger_id, exc)
        except Exception:
            log.exception("charger.not_recorded", charger_id=repr(charger_id))


# One name per kind of command, so that Flower shows what each message is for.
for _name in (*TASK_OF.values(), TaskName.REPAIR, TaskName.ROLL_OUT):
    app.task(name=_name.value, base=ConvergeTask)(converge_charger)


def one_at_a_time(task: Callable[[], None]) -> Callable[[], None]:
    """Skip a run while another thread of this process is in it: beats of a slow AWS must not fill the pool."""
    lock = threading.Lock()

    @wraps(task)
    def run() -> None:
        if lock.acquire(blocking=False):
            try:
                task()
            finally:
                lock.release()

    return run


@contextmanager
def maintenance(task: TaskName, *services: OutageLog) -> Iterator[Resources]:
    """Record the run on the task's row. Suppresses outages of the database and of these services."""
    process = resources()
    with ExitStack() as stack:
        for outage_log in (database, *services):
            stack.enter_context(outage_log.suppress())
        stack.enter_context(record_run(process.sessions, task))
        yield process


@app.task(name=TaskName.SWEEP.value, send_events=False)
def sweep_chargers() -> None:
    with maintenance(TaskName.SWEEP) as process:
        sweep(process.sessions, app)


@app.task(name=TaskName.RUN_JOBS.value, send_events=False)
@one_at_a_time
def continue_jobs() -> None:
    with maintenance(TaskName.RUN_JOBS) as process:
        settings = process.settings
        quotas = Quotas(settings.open_commands_per_organization, settings.chargers_per_organization)
        run_jobs(process.sessions, app, process.hosting, quotas)


@app.task(name=TaskName.EXPIRE.value, send_events=False)
@one_at_a_time
def expire() -> None:
    with maintenance(TaskName.EXPIRE) as process:
        expire_locations(process.sessions)
        expire_chargers(process.sessions, app)


@app.task(name=TaskName.OBSERVE.value, send_events=False)
@one_at_a_time
def observe_chargers() -> None:
    with maintenance(TaskName.OBSERVE, ecs) as process:
        if observe(process.sessions, process.ecs, process.settings.timing):
            sweep(process.sessions, app)


@app.task(name=TaskName.KEEP_HOSTS.value, send_events=False)
@one_at_a_time
def keep_all_hosts() -> None:
    with maintenance(TaskName.KEEP_HOSTS, ecs) as process:
        if keep_hosts(process.sessions, process.ecs, process.settings.timing, fleet_spec(process.ecs)):
            sweep(process.sessions, app)


@app.task(name=TaskName.ROLLOUTS.value, send_events=False)
@one_at_a_time
def continue_rollouts() -> None:
    with maintenance(TaskName.ROLLOUTS, ecs) as process:
        per_minute = process.settings.timing.rollout_per_minute
        if roll_out(process.sessions, fleet_spec(process.ecs), per_minute):
            sweep(process.sessions, app)
        remove_leftovers(process.sessions, process.ecs)
        remove_orphans(process.sessions, process.ecs)


@app.task(name=TaskName.READ_LOGS.value, send_events=False)
@one_at_a_time
def read_charger_logs() -> None:
    with maintenance(TaskName.READ_LOGS, cloudwatch) as process:
        read_logs(process.sessions, process.logs, process.settings.timing)
        read_late_logs(process.sessions, process.logs, process.settings.timing)


@app.task(name=TaskName.CLEAN_UP.value, send_events=False)
def prune() -> None:
    with maintenance(TaskName.CLEAN_UP) as process:
        sessions, retention = process.sessions, process.settings.retention
        for partition in prune_logs(sessions, retention.log_days):
            log.info("logs.pruned", partition=partition)
        prune_numbers(sessions)
        pruned = {
            "keys": prune_keys(sessions),
            "events": prune_events(sessions, retention.log_days),
            "commands": prune_commands(
                sessions, kept_days=retention.command_days, kept_per_charger=retention.commands_per_charger
            ),
            "jobs": prune_jobs(sessions, retention.command_days),
            "locations": prune_locations(sessions, retention.command_days),
            "actions": prune_actions(sessions, retention.action_days),
            "specs": prune_specs(sessions),
            "workers": prune_workers(sessions),
            "frames_of_deleted_chargers": prune_logs_of_deleted(
                sessions, kept_days=retention.deleted_log_days
            ),
        }
        if any(pruned.values()):
            log.info("rows.pruned", **pruned)
