"""kombu's Redis transport, for a Redis whose memory may be full.

A full Redis refuses bindings and transactions, but still gives its messages away, and only that makes room. With kombu's
own transport no worker starts while Redis is full.

A message that a worker has taken is recorded in the worker's memory alone (`ack_emulation` off): when the worker dies, the
sweep publishes the command again.
"""

from typing import Any

from amqp.protocol import queue_declare_ok_t
from kombu.transport import redis
from redis.exceptions import ResponseError

FULL = "used memory > 'maxmemory'"  #: in each refusal of a full Redis; a script's is no OutOfMemoryError


class Channel(redis.Channel):
    do_restore = False  # unacknowledged messages are not put back: the sweep publishes their commands again

    def queue_declare(self, queue: str | None = None, passive: bool = False, **options: Any) -> Any:
        """As kombu's. Counts the messages without a transaction while Redis is full."""
        try:
            return super().queue_declare(queue, passive, **options)
        except ResponseError as error:
            if FULL not in str(error):
                raise
            name = queue or ""
            return queue_declare_ok_t(name, self.client.llen(name), 0)

    def queue_bind(self, *args: Any, **options: Any) -> None:
        """As kombu's, which binds the queue in this process first. A full Redis does not store the binding."""
        try:
            super().queue_bind(*args, **options)
        except ResponseError as error:
            if FULL not in str(error):
                raise


class Transport(redis.Transport):
    Channel = Channel
