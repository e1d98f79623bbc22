"""kombu's Redis transport for hints: messages that may be lost, and that are taken many at a time.

What a worker has taken and not done is noted in its memory alone; the sweep publishes again what died with it.
(Noting it in Redis, as kombu does by default, takes longer than all the rest of Celery's part.)
"""

from time import monotonic
from typing import Any

from kombu.asynchronous import get_event_loop
from kombu.transport import redis, virtual
from kombu.utils.json import loads

BACKLOG_S = 0.005  # a message that came sooner lay there already, and so may others


class QoS(virtual.QoS):
    """Takes no more once all places are taken, until a quarter of them is free: then many at once."""

    _full = False

    def can_consume(self) -> bool:
        """Asked by the loop before it looks for messages."""
        if not self.prefetch_count:
            return True
        free = self.can_consume_max_estimate()
        if self._full and free >= self._enough:
            self._full = False
        elif not free:
            self._full = True
        return not self._full

    def ack(self, delivery_tag: str) -> None:
        """Safe to call from any thread; wakes the loop when that is of use."""
        super().ack(delivery_tag)
        loop = get_event_loop()
        if self._full and loop is not None and self.can_consume_max_estimate() >= self._enough:
            loop.call_soon(_nothing)

    @property
    def _enough(self) -> int:
        return max(1, self.prefetch_count // 4)


def _nothing() -> None:
    """What the loop is woken for is done by the loop itself."""


class Channel(redis.Channel):
    do_restore = False  # what was taken is done, or published again
    pool: Any  # the stubs know none of this
    client: Any
    connection: Any
    _queue_cycle: Any
    _brpop_sent_at: float
    _kept_client: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.QoS = QoS  # type: ignore[assignment]  # the stubs know one of the two

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver the message that came, and with it, in one round trip, others that lie on its queue."""
        sent_at = self._brpop_sent_at
        super()._brpop_read(**options)  # type: ignore[misc]
        free = self.qos.can_consume_max_estimate()
        if free and monotonic() - sent_at < BACKLOG_S:
            queue = self._queue_cycle.items[-1]  # the one that was just used
            for item in self.client.rpop(queue, free) or ():
                self.connection._deliver(loads(item), queue)
        return True

    def _create_client(self, asynchronous: bool = False) -> Any:
        """The channel's client, as long as its pool is the same: a lost connection or a fork brings another.

        kombu 5.7 makes a client for each command, and redis-py fills a table of 85 entries for each client: that
        took a tenth of a worker's time. A client is safe to share between threads; it takes a connection from the
        pool for each command.
        """
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client


class Transport(redis.Transport):
    Channel = Channel
