"""Beat: sends the maintenance tasks, as long as somebody takes them."""

from typing import Any

import structlog
from celery.beat import PersistentScheduler

from shared.queues import QUEUE_OF, Queue

log = structlog.get_logger(__name__)

RARELY_S = 60.0  # from this on a task runs too rarely to leave out a turn
#: Messages that may wait: as many as there are maintenance tasks. A worker that comes back needs no more of them.
MOST_WAITING = sum(queue is Queue.MAINTENANCE for queue in QUEUE_OF.values())


class Scheduler(PersistentScheduler):
    """Celery's, but it sends nothing while the maintenance queue is not served: its messages would fill the broker."""

    _paused = False
    _counter: Any = None  #: a connection of its own: the one that sends must be Celery's to mend

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """None for what was not sent. What runs rarely is always sent: its next turn would be an hour away."""
        paused = self._waiting() >= MOST_WAITING
        if paused != self._paused:
            log.info("beat.paused" if paused else "beat.resumed", queue=Queue.MAINTENANCE.value)
        self._paused = paused
        if paused and entry.schedule.run_every.total_seconds() < RARELY_S:
            if self.should_sync():
                self.sync()  # compose takes a schedule that is not saved for a beat that hangs
            return None
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)

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
