"""Record how each run of a maintenance task ended, in the task's row of `maintenance_runs`."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from shared.database.engine import Sessions
from shared.error_codes import MESSAGE_LENGTH
from shared.models import MaintenanceRun
from shared.queues import TaskName
from worker.outage_log import first_line


@contextmanager
def record_run(sessions: Sessions, task: TaskName) -> Iterator[None]:
    """Write when the block ended, how long it took, and its error if it failed, which is raised again."""
    started = monotonic()
    try:
        yield
    except Exception as error:
        with suppress(SQLAlchemyError):  # the block's own error says more
            _write(sessions, task, monotonic() - started, first_line(error)[:MESSAGE_LENGTH])
        raise
    _write(sessions, task, monotonic() - started, None)


def _write(sessions: Sessions, task: TaskName, duration_s: float, error: str | None) -> None:
    first = insert(MaintenanceRun).values(
        task=task,
        finished_at=func.now(),
        succeeded_at=None if error else func.now(),
        duration_s=duration_s,
        failures=1 if error else 0,
        error=error,
    )
    new = first.excluded
    with sessions.autocommit.connect() as connection:
        connection.execute(
            first.on_conflict_do_update(
                index_elements=[MaintenanceRun.task],
                set_={
                    "finished_at": new.finished_at,
                    "succeeded_at": func.coalesce(new.succeeded_at, MaintenanceRun.succeeded_at),
                    "duration_s": new.duration_s,
                    "failures": MaintenanceRun.failures + new.failures,
                    "error": func.coalesce(new.error, MaintenanceRun.error),
                },
            )
        )
