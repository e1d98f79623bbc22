"""Celery beat's scheduler: sends the maintenance tasks while workers take them.

It stores nothing, and measures its periods on the monotonic clock, which nobody can set back or ahead.
"""

from pathlib import Path
from time import monotonic
from typing import Any

import structlog
from celery import beat

from shared.broker.app import BROKER_ERRORS, Sender
from shared.maintenance import periods_s
from shared.queues import Queue, TaskName
from shared.settings import Settings
from worker.outage_log import OutageLog

log = structlog.get_logger(__name__)

RETRY_S = 1.0  #: between two checks of a queue on which a message waits
TOUCH_EVERY_S = 30.0  #: the file that `-s` names
PAUSED_AFTER_S = 5.0  #: without a worker that takes the messages


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """The period of each maintenance task. No message expires: that would compare beat's clock with a worker's."""
    return {
        task.value: {"task": task.value, "schedule": seconds}
        for task, seconds in periods_s(settings.timing).items()
    }


class Scheduler(beat.Scheduler):
    """Celery's scheduler on the monotonic clock, with at most one message of each task on the queue.

    Every task is due when beat starts. A task that is due while its last message still waits is sent when a worker has
    taken that message, and not one period later.
    """

    def __init__(self, app: Any, *, schedule_filename: str | None = None, **options: Any) -> None:
        """`schedule_filename` is what `-s` names: touched while beat works, for a health check, and never read."""
        super().__init__(app, **options)
        self._touched = Path(schedule_filename) if schedule_filename else None
        self._due_at: dict[str, float] = {}  #: monotonic time, by the entry's name
        self._may_wait = {
            entry.task for entry in self._entries()
        }  #: an earlier beat may have sent any of them
        self._waits_since: float | None = None
        self._paused = False
        self._sender = Sender(app)
        self._outage = OutageLog("broker", *BROKER_ERRORS)

    def tick(self, *_: object, **__: object) -> float:
        """Send the tasks that are due. Returns the seconds until the next call."""
        now = monotonic()
        due = [entry for entry in self._entries() if self._due_at.get(entry.name, now) <= now]
        if due:
            sent: set[str] = set()
            with self._outage.suppress():
                sent = self._send({entry.task for entry in due}, now)
            for entry in due:
                every_s = entry.schedule.seconds
                self._due_at[entry.name] = now + (every_s if entry.task in sent else min(RETRY_S, every_s))
        if self._touched is not None:
            self._touched.touch()
        next_at = min([*self._due_at.values(), now + TOUCH_EVERY_S])
        return max(0.0, next_at - monotonic())

    def close(self) -> None:
        super().close()
        self._sender.close()

    def _entries(self) -> list[Any]:
        return list(self.schedule.values())

    def _send(self, tasks: set[str], now: float) -> set[str]:
        """Send the tasks that have no message on the queue. Returns them. Raises one of BROKER_ERRORS."""
        if self._sender.waiting(Queue.MAINTENANCE) == 0:
            self._may_wait.clear()
        self._log_pause(tasks & self._may_wait, now)
        tasks = tasks - self._may_wait
        if tasks:
            self._may_wait |= tasks  # an error may come after the delivery
            self._sender.send((TaskName(task), {}) for task in sorted(tasks))
        return tasks

    def _log_pause(self, held_back: set[str], now: float) -> None:
        if not held_back:
            if self._paused:
                log.info("beat.resumed", queue=Queue.MAINTENANCE.value)
            self._waits_since, self._paused = None, False
        elif self._waits_since is None:
            self._waits_since = now
        elif not self._paused and now - self._waits_since >= PAUSED_AFTER_S:
            log.warning("beat.paused", queue=Queue.MAINTENANCE.value, reason="no worker takes its messages")
            self._paused = True
