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
    forget_commands,
    forget_events,
    forget_keys,
    forget_logs_of_deleted,
    forget_specs,
)
from worker.maintenance.rollout import roll_out
from worker.maintenance.runs import noted
from worker.maintenance.sweep import sweep
from worker.observe.logs import LOG_ERRORS, drop_old_logs, read_late_logs, read_logs
from worker.observe.observe import observe
from worker.outage_log import DatabaseOutage, Outage
from worker.reconcile.coalesce import Flights
from worker.reconcile.converge import converge, stumble
from worker.reconcile.provision import fleet_spec
from worker.resources import context

log = structlog.get_logger(__name__)

#: What was swallowed here is done again: by the sweep, or by the next beat.
database = DatabaseOutage()
ecs = Outage("ecs", EcsUnavailable, EcsRejected)
cloudwatch = Outage("logs", *LOG_ERRORS)
flights = Flights()  #: of this process


@celeryd_after_setup.connect
def say_what_the_schema_lacks(**_: object) -> None:
    """Before a worker takes its first message: one line that says why its work cannot succeed."""
    try:
        trouble = schema_trouble_of(context().sessions.statements)
    except SQLAlchemyError as error:
        database.began(error)
        return
    if trouble is not None:
        log.error("schema.behind", error=trouble)


def converge_charger(*, charger_id: str, **_for_the_reader: object) -> None:
    """Whatever was asked: the row says what it is."""
    parts = context()

    def make_true() -> None:
        converge(parts.sessions, parts.ecs, parts.settings.timing, charger_id)

    with database.survived():
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
                parts = context()
                with database.survived():
                    stumble(parts.sessions, parts.settings.timing, charger_id, exc)
        except Exception:
            log.exception("charger.not_recorded", charger_id=repr(charger_id))


# One name per kind of command, so that Flower shows what is going on.
for _name in (*TASK_OF.values(), TaskName.REPAIR, TaskName.ROLL_OUT):
    app.task(name=_name.value, base=ConvergeTask)(converge_charger)


@app.task(name=TaskName.SWEEP.value, send_events=False)
def sweep_chargers() -> None:
    sessions = context().sessions
    with database.survived(), noted(sessions, TaskName.SWEEP):
        sweep(sessions, app)


@app.task(name=TaskName.OBSERVE.value, send_events=False)
def observe_chargers() -> None:
    with alone(TaskName.OBSERVE) as first:
        if not first:
            return
        parts = context()
        with database.survived(), ecs.survived(), noted(parts.sessions, TaskName.OBSERVE):
            if observe(parts.sessions, parts.ecs, parts.settings.timing):
                sweep(parts.sessions, app)


@app.task(name=TaskName.ROLLOUTS.value, send_events=False)
def go_on_with_rollouts() -> None:
    with alone(TaskName.ROLLOUTS) as first:
        if not first:
            return
        parts = context()
        with database.survived(), ecs.survived(), noted(parts.sessions, TaskName.ROLLOUTS):
            per_minute = parts.settings.timing.rollout_per_minute
            if roll_out(parts.sessions, fleet_spec(parts.ecs), per_minute):
                sweep(parts.sessions, app)
            remove_leftovers(parts.sessions, parts.ecs)
            remove_orphans(parts.sessions, parts.ecs)


@app.task(name=TaskName.READ_LOGS.value, send_events=False)
def read_charger_logs() -> None:
    with alone(TaskName.READ_LOGS) as first:
        if not first:
            return
        parts = context()
        with database.survived(), cloudwatch.survived(), noted(parts.sessions, TaskName.READ_LOGS):
            read_logs(parts.sessions, parts.logs, parts.settings.timing)
            read_late_logs(parts.sessions, parts.logs, parts.settings.timing)


@app.task(name=TaskName.CLEAN_UP.value, send_events=False)
def clean_up() -> None:
    parts = context()
    sessions, kept = parts.sessions, parts.settings.kept
    with database.survived(), noted(sessions, TaskName.CLEAN_UP):
        for partition in drop_old_logs(sessions, kept.log_days):
            log.info("logs.dropped", partition=partition)
        forgotten = {
            "keys": forget_keys(sessions),
            "events": forget_events(sessions, kept.log_days),
            "commands": forget_commands(
                sessions, kept_days=kept.command_days, kept_per_charger=kept.commands_per_charger
            ),
            "specs": forget_specs(sessions),
            "frames_of_deleted_chargers": forget_logs_of_deleted(sessions, kept_days=kept.deleted_log_days),
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
