"""Beat: sends the maintenance tasks, as long as somebody takes them."""

from typing import Any

import structlog
from celery.beat import PersistentScheduler

from shared.queues import QUEUE_OF, Queue

log = structlog.get_logger(__name__)

#: Messages that may wait: as many as there are maintenance tasks. A worker that comes back needs no more of them.
MOST_WAITING = sum(queue is Queue.MAINTENANCE for queue in QUEUE_OF.values())


class Scheduler(PersistentScheduler):
    """Celery's, but it sends nothing while the maintenance queue is not served: its messages would fill the broker."""

    _paused = False

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """None for what was not sent; its turn comes again."""
        paused = waiting(producer) >= MOST_WAITING
        if paused != self._paused:
            log.info("beat.paused" if paused else "beat.resumed", queue=Queue.MAINTENANCE.value)
        self._paused = paused
        if paused:
            if self.should_sync():
                self.sync()  # compose takes a schedule that is not saved for a beat that hangs
            return None
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)


def waiting(producer: Any) -> int:
    """How many messages nobody has taken. 0 when the broker does not say so: what is sent then says what is wrong."""
    connection = producer.connection
    try:
        declared = producer.channel.queue_declare(
            queue=Queue.MAINTENANCE.value, durable=True, auto_delete=False
        )
    except (OSError, *connection.connection_errors, *connection.channel_errors):
        return 0
    return int(declared.message_count)
