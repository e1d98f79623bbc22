"""Beat: sends the maintenance tasks, as long as somebody takes them."""

from typing import Any

import structlog
from celery.beat import PersistentScheduler

from shared.queues import QUEUE_OF, Queue

log = structlog.get_logger(__name__)

#: Messages that may wait: as many as there are maintenance tasks. A worker that comes back needs no more of them.
MOST_WAITING = sum(queue is Queue.MAINTENANCE for queue in QUEUE_OF.values())
RETRY_S = 1.0  #: until the queue is read again during a pause


class Scheduler(PersistentScheduler):
    """Celery's, but it sends nothing while the maintenance queue is not served: its messages would fill the broker."""

    _paused = False
    _counter: Any = None  #: a connection of its own: Celery mends the one that sends only while it sends

    def is_due(self, entry: Any) -> tuple[bool, float]:
        """Whether to send it now, and the seconds until the next call.

        What is due during a pause stays due, also when its period is an hour, and is sent once when the pause ends.
        """
        due, next_s = super().is_due(entry)
        if not due:
            return due, next_s
        paused = self._waiting() >= MOST_WAITING
        if paused != self._paused:
            log.info("beat.paused" if paused else "beat.resumed", queue=Queue.MAINTENANCE.value)
        self._paused = paused
        return (False, RETRY_S) if paused else (True, next_s)

    def _waiting(self) -> int:
        """How many messages nobody has taken. 0 when the broker does not say so: what is sent then says what is wrong."""
        connection = self._counter or self.app.connection_for_write()
        self._counter = None  # until it has answered
        try:
            connection.connect()
            channel: Any = connection.default_channel
            declared = channel.queue_declare(queue=Queue.MAINTENANCE.value, durable=True, auto_delete=False)
        except (OSError, *connection.connection_errors, *connection.channel_errors):
            connection.collect(socket_timeout=0.1)
            return 0
        self._counter = connection
        return int(declared.message_count)
