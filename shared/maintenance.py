"""When each maintenance task last ran. Workers write it; /ready and /metrics show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from shared.models import MaintenanceRun
from shared.queues import TaskName
from shared.settings import Timing

CLEAN_UP_EVERY_S = 3600.0
ROLLOUTS_EVERY_S = 5.0
RUN_JOBS_EVERY_S = 1.0
EXPIRE_EVERY_S = 5.0
KEEP_HOSTS_EVERY_S = 1.0  #: a new host is not noticed sooner
# A task is late when it has not succeeded for so many of its periods, plus LATE_S for the run itself.
LATE_PERIODS = 3
LATE_S = 60.0


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a task, on any worker."""

    task: str
    age_s: float | None  #: since its last success, by the database's clock; None without one
    duration_s: float
    failures: int  #: since the first run
    error: str | None  #: of the last run; None when that succeeded


def periods_s(timing: Timing) -> dict[TaskName, float]:
    """The period of every maintenance task."""
    return {
        TaskName.SWEEP: timing.sweep_every_s,
        TaskName.RUN_JOBS: RUN_JOBS_EVERY_S,
        TaskName.EXPIRE: EXPIRE_EVERY_S,
        TaskName.OBSERVE: timing.observe_every_s,
        TaskName.KEEP_HOSTS: KEEP_HOSTS_EVERY_S,
        TaskName.ROLLOUTS: ROLLOUTS_EVERY_S,
        TaskName.READ_LOGS: timing.logs_every_s,
        TaskName.CLEAN_UP: CLEAN_UP_EVERY_S,
    }


def last_runs(session: Session) -> list[Run]:
    """One run per task that has ever run."""
    age_s = func.extract("epoch", func.now() - MaintenanceRun.succeeded_at)
    rows = session.execute(select(MaintenanceRun, age_s).order_by(MaintenanceRun.task))
    return [
        Run(
            task=row.task,
            age_s=None if age is None else float(age),
            duration_s=row.duration_s,
            failures=row.failures,
            error=row.error if row.succeeded_at is None or row.succeeded_at < row.finished_at else None,
        )
        for row, age in rows
    ]


def lateness(runs: Sequence[Run], timing: Timing) -> str | None:
    """A sentence that names the tasks without a recent success; None when there are none. Holds no secrets."""
    ages_s = {run.task: run.age_s for run in runs}
    late = (late_task(task, ages_s.get(task), timing) for task in periods_s(timing))
    return "; ".join(words for words in late if words) or None


def late_task(task: TaskName, age_s: float | None, timing: Timing) -> str | None:
    """Why the task is late, in words; None while it is not. `age_s` is since its last success."""
    limit_s = LATE_PERIODS * periods_s(timing)[task] + LATE_S
    if age_s is None:
        return f"{task} has not succeeded yet"
    return f"{task} has not succeeded for more than {limit_s:.0f} s" if age_s > limit_s else None
