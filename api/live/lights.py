"""The state of each part that the service depends on, as a light with a sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from api.live.readiness import Probed
from shared.maintenance import Run, late_task
from shared.operations.processes import SeenLink, SeenWorker
from shared.queues import TaskName
from shared.settings import Timing

STILL_ACCEPTED = (
    "Commands are still accepted and stored; workers carry them out within seconds after the broker is back, "
    "and observe nothing until then"
)


@dataclass(frozen=True, slots=True)
class Light:
    name: str  #: database, broker, ecs, logs, observer or link
    ok: bool
    detail: str  #: a sentence without addresses and organizations
    since: datetime | None = None  #: since when it is not ok, where that is known
    latency_ms: float | None = None


def database_light(latency_ms: float) -> Light:
    """Of the database that has just answered."""
    return Light("database", True, "The database answers", latency_ms=round(latency_ms, 1))


def broker_light(probed: Probed) -> Light:
    """Of the broker, through which workers hear of commands."""
    if probed.reason is None:
        return Light("broker", True, "The broker takes messages", latency_ms=probed.latency_ms)
    return Light("broker", False, f"{probed.reason}. {STILL_ACCEPTED}", since=probed.since)


def ecs_light(workers: Sequence[SeenWorker]) -> Light:
    """Of Amazon ECS, from what the living workers met last."""
    alive = [worker for worker in workers if worker.alive]
    if not alive:
        return Light("ecs", False, "Not known: no worker is alive, so nothing calls ECS")
    successes = [at for worker in alive if (at := _at(worker, "success_s"))]
    failures = [(at, worker.ecs["failure"]) for worker in alive if (at := _at(worker, "failure_s"))]
    success = max(successes, default=None)
    failed_at, failure = max(failures, default=(None, None))
    if failed_at is None or (success is not None and success >= failed_at):
        return Light("ecs", True, "ECS answers" if success else "No worker has called ECS yet")
    return Light(
        "ecs",
        False,
        f"ECS does not do what workers request: {failure}. Commands stay open, and workers try again",
        since=success,
    )


def _at(worker: SeenWorker, name: str) -> datetime | None:
    """When it happened, by the database's clock."""
    before_s = worker.ecs.get(name)
    return None if before_s is None else worker.seen_at - timedelta(seconds=before_s)


def logs_light(lag_s: float | None, timing: Timing, now: datetime) -> Light:
    """Of the log reader, by how late the chargers' lines are read."""
    if lag_s is None:
        return Light("logs", True, "No log has been read yet")
    if lag_s <= timing.log_lag_s:
        return Light("logs", True, f"Logs are read {lag_s:.0f} s late")
    return Light(
        "logs",
        False,
        f"Logs are read {lag_s:.0f} s late: frames come late, and so does the state of a link that only its log shows",
        since=now - timedelta(seconds=lag_s),
    )


def observer_light(runs: Sequence[Run], timing: Timing, now: datetime) -> Light:
    """Of the observer, without which no command becomes final."""
    age_s = next((run.age_s for run in runs if run.task == TaskName.OBSERVE), None)
    late = late_task(TaskName.OBSERVE, age_s, timing)
    if late is None:
        return Light("observer", True, f"ECS was observed {age_s:.0f} s ago")
    return Light(
        "observer",
        False,
        f"{late}: commands are carried out, but do not become final",
        since=None if age_s is None else now - timedelta(seconds=age_s),
    )


def link_light(links: Sequence[SeenLink]) -> Light:
    """Of the control link, over which actions reach chargers."""
    alive = [link for link in links if link.alive]
    if alive:
        sessions = sum(link.sessions for link in alive)
        processes = "1 process runs" if len(alive) == 1 else f"{len(alive)} processes run"
        connected = "1 session" if sessions == 1 else f"{sessions} sessions"
        return Light("link", True, f"{processes}, with {connected}")
    if not links:
        return Light("link", True, "No control link runs, so chargers take no actions")
    return Light(
        "link",
        False,
        "No process of the control link is alive: actions are refused, and chargers go on as they are",
        since=max(link.seen_at for link in links),
    )
