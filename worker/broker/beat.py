"""Beat: sends the maintenance tasks, as long as somebody takes them.

It remembers nothing over its end, and no clock that can be put back or ahead decides when a task is due.
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

RETRY_S = 1.0  #: until the queue is read again while a message waits on it
SIGN_OF_LIFE_S = 30.0
PAUSED_AFTER_S = 5.0  #: of waiting for somebody who takes the messages


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What runs by itself. Nothing expires: that would compare beat's clock with a worker's."""
    return {
        task.value: {"task": task.value, "schedule": seconds}
        for task, seconds in periods_s(settings.timing).items()
    }


class Scheduler(beat.Scheduler):
    """Celery's, on the monotonic clock. At most one message of each task waits: more of them would fill the broker.

    Every task is due when beat starts. What is due and may not be sent stays due, also when its period is an hour.
    """

    def __init__(self, app: Any, *, schedule_filename: str | None = None, **options: Any) -> None:
        """The file that `-s` names is touched while beat works, for a health check; nothing is read from it."""
        super().__init__(app, **options)
        self._sign_of_life = Path(schedule_filename) if schedule_filename else None
        self._due_at: dict[str, float] = {}  #: on the monotonic clock, by the entry's name
        self._may_wait = {entry.task for entry in self._entries()}  #: what was there before is not known
        self._waits_since: float | None = None
        self._paused = False
        self._sender = Sender(app)
        self._outage = OutageLog("broker", *BROKER_ERRORS)

    def tick(self, *_: object, **__: object) -> float:
        """Send what is due. Returns the seconds until the next call."""
        now = monotonic()
        due = [entry for entry in self._entries() if self._due_at.get(entry.name, now) <= now]
        if due:
            sent: set[str] = set()
            with self._outage.suppress():
                sent = self._send({entry.task for entry in due}, now)
            for entry in due:
                every_s = entry.schedule.seconds
                self._due_at[entry.name] = now + (every_s if entry.task in sent else min(RETRY_S, every_s))
        if self._sign_of_life is not None:
            self._sign_of_life.touch()
        next_at = min([*self._due_at.values(), now + SIGN_OF_LIFE_S])
        return max(0.0, next_at - monotonic())

    def close(self) -> None:
        super().close()
        self._sender.close()

    def _entries(self) -> list[Any]:
        return list(self.schedule.values())

    def _send(self, tasks: set[str], now: float) -> set[str]:
        """Send those of which no message waits. Returns them. Raises one of BROKER_ERRORS."""
        if self._sender.waiting(Queue.MAINTENANCE) == 0:
            self._may_wait.clear()
        self._note_pause(tasks & self._may_wait, now)
        tasks = tasks - self._may_wait
        if tasks:
            self._may_wait |= tasks  # an error may come after the delivery
            self._sender.send((TaskName(task), {}) for task in sorted(tasks))
        return tasks

    def _note_pause(self, held_back: set[str], now: float) -> None:
        if not held_back:
            if self._paused:
                log.info("beat.resumed", queue=Queue.MAINTENANCE.value)
            self._waits_since, self._paused = None, False
        elif self._waits_since is None:
            self._waits_since = now
        elif not self._paused and now - self._waits_since >= PAUSED_AFTER_S:
            log.warning("beat.paused", queue=Queue.MAINTENANCE.value, reason="nobody takes its messages")
            self._paused = True
