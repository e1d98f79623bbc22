"""kombu's Redis transport, with one Redis client per channel, for messages that may be lost.

kombu 5.7 makes a client for each command, and redis-py fills a table of 85 entries for each client: that took
a tenth of a worker's time. A client is safe to share between threads; it takes a connection from the pool for
each command.
"""

from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    do_restore = False  # what was taken is done, or published again by the sweep
    pool: Any  # the stubs know none of this
    _kept_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        """The channel's client, as long as its pool is the same: a lost connection or a fork brings another."""
        if asynchronous:
            return super()._create_client(asynchronous=True)  # type: ignore[misc]
        if self._kept_client is None or self._kept_client.connection_pool is not self.pool:
            self._kept_client = super()._create_client()  # type: ignore[misc]
        return self._kept_client


class Transport(redis.Transport):
    Channel = Channel
