"""kombu's Redis transport for hints: messages that may be lost, and that are taken many at a time.

What a worker has taken and not done is noted in its memory alone; the sweep publishes again what died with it.
(Noting it in Redis, as kombu does by default, takes longer than all the rest of Celery's part.)
"""

from time import monotonic
from typing import Any

from kombu.transport import redis, virtual
from kombu.utils.json import loads
from redis.exceptions import ResponseError

BACKLOG_S = 0.005  # a message that came sooner lay there already, and so may others
FULL = "used memory > 'maxmemory'"  # in all that a full Redis answers
PATIENCE_S = 1.0  # that long a full worker waits for many places instead of one


class QoS(virtual.QoS):
    """Takes no more once all places are taken, until a quarter of them is free: then many at once."""

    _full_since: float | None = None

    def can_consume(self) -> bool:
        """Asked by the loop before it looks for messages, at least once a second."""
        if self._full_since is not None:
            if not self.has_room_again:
                return False
            self._full_since = None
        if self.prefetch_count and not self.can_consume_max_estimate():
            self._full_since = monotonic()
            return False
        return True

    @property
    def has_room_again(self) -> bool:
        """Whether a full worker may go on. Also asked by threads that acknowledge."""
        since = self._full_since
        if since is None:
            return False
        free = self.can_consume_max_estimate()
        # Places that calls hold which hang are not to be waited for.
        return free >= max(1, self.prefetch_count // 4) or (free > 0 and monotonic() - since > PATIENCE_S)


class Channel(redis.Channel):
    do_restore = False  # what was taken is done, or published again
    pool: Any  # the stubs know none of this
    qos: Any
    client: Any
    connection: Any
    _queue_cycle: Any
    _brpop_sent_at: float
    _q_for_pri: Any
    _kept_client: Any = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.QoS = QoS  # type: ignore[assignment]  # the stubs know one of the two

    def _brpop_read(self, **options: Any) -> bool:
        """Deliver the message that came, and with it, in one round trip, others that lie on its queue."""
        came_at_once = monotonic() - self._brpop_sent_at < BACKLOG_S
        super()._brpop_read(**options)  # type: ignore[misc]
        if came_at_once and self._queue_cycle.items:
            self._take_more(self._queue_cycle.items[-1])  # the queue that was just used
        return True

    def _take_more(self, queue: str) -> None:
        free = self.qos.can_consume_max_estimate()
        taken = self.client.rpop(queue, free) if free else None
        undelivered = list(taken or ())
        try:
            while undelivered:
                self.connection._deliver(loads(undelivered.pop(0)), queue)
        finally:
            if undelivered:  # one is no message: the others are not lost with it
                self.client.rpush(queue, *reversed(undelivered))

    def _queue_bind(self, *binding: Any) -> None:
        """A full Redis takes no binding. It still gives its messages away, and only that makes room."""
        try:
            super()._queue_bind(*binding)  # type: ignore[misc]
        except ResponseError as error:  # of a script it is no OutOfMemoryError
            if FULL not in str(error):
                raise

    def _size(self, queue: str) -> int:
        """As kombu's, but without a transaction: a full Redis refuses whatever is in one."""
        with self.conn_or_acquire() as client, client.pipeline(transaction=False) as lengths:
            for priority in self.priority_steps:
                lengths.llen(self._q_for_pri(queue, priority))
            return sum(lengths.execute())

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
