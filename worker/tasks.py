"""One doorway per task name. Only the charger's id is acted on: the row may have moved on meanwhile."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from celery import Task
from celery.signals import celeryd_after_setup
from sqlalchemy.exc import SQLAlchemyError

from shared.database.schema import schema_trouble_of
from shared.queues import TASK_OF, TaskName
from worker.celery_app import app
from worker.ecs.client import EcsRejected, EcsUnavailable
from worker.maintenance.leftovers import remove_leftovers, remove_orphans
from worker.maintenance.prune import (
    prune_commands,
    prune_events,
    prune_keys,
    prune_logs_of_deleted,
    prune_specs,
)
from worker.maintenance.rollout import roll_out
from worker.maintenance.runs import noted
from worker.maintenance.sweep import sweep
from worker.observe.logs import LOG_ERRORS, prune_logs, read_late_logs, read_logs
from worker.observe.observe import observe
from worker.outage_log import DatabaseOutageLog, OutageLog
from worker.reconcile.coalesce import Flights
from worker.reconcile.converge import converge, record_internal_error
from worker.reconcile.provision import fleet_spec
from worker.resources import resources

log = structlog.get_logger(__name__)

#: What was swallowed here is done again: by the sweep, or by the next beat.
database = DatabaseOutageLog()
ecs = OutageLog("ecs", EcsUnavailable, EcsRejected)
cloudwatch = OutageLog("logs", *LOG_ERRORS)
flights = Flights()  #: of this process


@celeryd_after_setup.connect
def say_what_the_schema_lacks(**_: object) -> None:
    """Before a worker takes its first message: one line that says why its work cannot succeed."""
    try:
        trouble = schema_trouble_of(resources().sessions.autocommit)
    except SQLAlchemyError as error:
        database.failed(error)
        return
    if trouble is not None:
        log.error("schema.behind", error=trouble)


def converge_charger(*, charger_id: str, **_for_the_reader: object) -> None:
    """Whatever was asked: the row says what it is."""
    current = resources()

    def make_true() -> None:
        converge(current.sessions, current.ecs, current.settings.timing, charger_id)

    with database.suppress():
        flights.run(charger_id, make_true)


class ConvergeTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """Celery logs what a task raises; this also writes it on the row.

    It raises nothing itself: Celery would never acknowledge the message, nor take another one in its place.
    """

    def on_failure(
        self, exc: Exception, task_id: str, args: tuple[Any, ...], kwargs: dict[str, Any], einfo: Any
    ) -> None:
        charger_id = kwargs.get("charger_id")
        try:
            if isinstance(charger_id, str):
                current = resources()
                with database.suppress():
                    record_internal_error(current.sessions, current.settings.timing, charger_id, exc)
        except Exception:
            log.exception("charger.not_recorded", charger_id=repr(charger_id))


# One name per kind of command, so that Flower shows what is going on.
for _name in (*TASK_OF.values(), TaskName.REPAIR, TaskName.ROLL_OUT):
    app.task(name=_name.value, base=ConvergeTask)(converge_charger)


@app.task(name=TaskName.SWEEP.value, send_events=False)
def sweep_chargers() -> None:
    sessions = resources().sessions
    with database.suppress(), noted(sessions, TaskName.SWEEP):
        sweep(sessions, app)


@app.task(name=TaskName.OBSERVE.value, send_events=False)
def observe_chargers() -> None:
    with alone(TaskName.OBSERVE) as first:
        if not first:
            return
        current = resources()
        with database.suppress(), ecs.suppress(), noted(current.sessions, TaskName.OBSERVE):
            if observe(current.sessions, current.ecs, current.settings.timing):
                sweep(current.sessions, app)


@app.task(name=TaskName.ROLLOUTS.value, send_events=False)
def go_on_with_rollouts() -> None:
    with alone(TaskName.ROLLOUTS) as first:
        if not first:
            return
        current = resources()
        with database.suppress(), ecs.suppress(), noted(current.sessions, TaskName.ROLLOUTS):
            per_minute = current.settings.timing.rollout_per_minute
            if roll_out(current.sessions, fleet_spec(current.ecs), per_minute):
                sweep(current.sessions, app)
            remove_leftovers(current.sessions, current.ecs)
            remove_orphans(current.sessions, current.ecs)


@app.task(name=TaskName.READ_LOGS.value, send_events=False)
def read_charger_logs() -> None:
    with alone(TaskName.READ_LOGS) as first:
        if not first:
            return
        current = resources()
        with database.suppress(), cloudwatch.suppress(), noted(current.sessions, TaskName.READ_LOGS):
            read_logs(current.sessions, current.logs, current.settings.timing)
            read_late_logs(current.sessions, current.logs, current.settings.timing)


@app.task(name=TaskName.CLEAN_UP.value, send_events=False)
def prune() -> None:
    current = resources()
    sessions, kept = current.sessions, current.settings.retention
    with database.suppress(), noted(sessions, TaskName.CLEAN_UP):
        for partition in prune_logs(sessions, kept.log_days):
            log.info("logs.dropped", partition=partition)
        forgotten = {
            "keys": prune_keys(sessions),
            "events": prune_events(sessions, kept.log_days),
            "commands": prune_commands(
                sessions, kept_days=kept.command_days, kept_per_charger=kept.commands_per_charger
            ),
            "specs": prune_specs(sessions),
            "frames_of_deleted_chargers": prune_logs_of_deleted(sessions, kept_days=kept.deleted_log_days),
        }
        if any(forgotten.values()):
            log.info("rows.forgotten", **forgotten)


_running = {name: threading.Lock() for name in (TaskName.OBSERVE, TaskName.ROLLOUTS, TaskName.READ_LOGS)}


@contextmanager
def alone(name: TaskName) -> Iterator[bool]:
    """False while another thread of this process is at it: a slow AWS must not fill the pool with beats."""
    lock = _running[name]
    first = lock.acquire(blocking=False)
    try:
        yield first
    finally:
        if first:
            lock.release()
