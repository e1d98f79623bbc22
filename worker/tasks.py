"""One doorway per task name. Only the charger's id is acted on: the row may have moved on meanwhile."""

import structlog

from shared.queues import TASK_OF, TaskName
from worker.celery_app import app
from worker.context import context
from worker.converge import converge
from worker.ecs import EcsRejected, EcsUnavailable
from worker.logs import LOG_ERRORS, drop_old_logs, read_logs
from worker.observe import observe
from worker.sweep import sweep

log = structlog.get_logger(__name__)


def converge_charger(*, charger_id: str, **_for_the_reader: object) -> None:
    """Whatever was asked: the row says what it is."""
    parts = context()
    converge(parts.sessions, parts.ecs, parts.settings.timing, charger_id)


# One name per kind of command, so that Flower shows what is going on.
for _name in (*TASK_OF.values(), TaskName.REPAIR):
    app.task(name=_name.value)(converge_charger)


@app.task(name=TaskName.SWEEP.value)
def sweep_chargers() -> None:
    sweep(context().sessions, app)


@app.task(name=TaskName.OBSERVE.value)
def observe_chargers() -> None:
    parts = context()
    try:
        drifted = observe(parts.sessions, parts.ecs, parts.settings.timing)
    except (EcsUnavailable, EcsRejected) as error:
        log.warning("observe.failed", error=str(error))
        return
    if drifted:
        sweep(parts.sessions, app)


@app.task(name=TaskName.READ_LOGS.value)
def read_charger_logs() -> None:
    parts = context()
    try:
        read_logs(parts.sessions, parts.logs, parts.settings.timing)
    except LOG_ERRORS as error:
        log.warning("logs.failed", error=str(error))


@app.task(name=TaskName.CLEAN_UP.value)
def clean_up() -> None:
    parts = context()
    for partition in drop_old_logs(parts.sessions, parts.settings.log_retention_days):
        log.info("logs.dropped", partition=partition)
