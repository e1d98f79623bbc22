"""Notify the processes of the control link, through Redis, that a host has something new to do.

A hint has no content, and may be lost: the link also looks by itself, a little later.
"""

from time import monotonic

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.fleet.control import HINTS
from worker.outage_log import OutageLog

TIMEOUT_S = 0.3  # for Redis to take a hint
AGAIN_AFTER_S = 5.0  # without an answer Redis is left alone for so long


class Hints:
    """One per worker process, safe to share between threads."""

    def __init__(self, redis_url: str) -> None:
        """Without a URL, gives no hints."""
        self._client = (
            redis.Redis.from_url(
                redis_url,
                socket_connect_timeout=TIMEOUT_S,
                socket_timeout=TIMEOUT_S,
                retry=Retry(NoBackoff(), 1),
            )
            if redis_url
            else None
        )
        self._again_at = 0.0
        self._outage = OutageLog("hints.redis", redis.RedisError, OSError)

    def give(self) -> None:
        """Give a hint. Does not raise when Redis fails. To be called after the commit."""
        if self._client is None or monotonic() < self._again_at:
            return
        try:
            self._client.publish(HINTS, b"")
        except (redis.RedisError, OSError) as error:
            self._again_at = monotonic() + AGAIN_AFTER_S
            self._outage.failed(error)
        else:
            self._outage.recovered()
