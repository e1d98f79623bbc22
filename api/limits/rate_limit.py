"""Limits the requests of an organization, counted in Redis for all API processes together."""

from math import ceil
from time import time

import redis
import structlog
from limits import RateLimitItem, parse
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis.backoff import NoBackoff
from redis.retry import Retry

from api.poller import Poller
from shared.settings import SettingsError

log = structlog.get_logger(__name__)

TIMEOUT_S = 0.2  # for Redis to answer; after it, no request is counted until a probe succeeds
PROBE_EVERY_S = 1.0
PROBE_KEY = ""  # no organization has it

REDIS_ERRORS = (redis.RedisError, OSError)


class TooManyRequests(Exception):
    """The organization has sent as many requests as it may for now."""

    def __init__(self, limit: RateLimitItem, retry_after_s: int) -> None:
        super().__init__(f"More than {limit}: try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class RateLimit:
    """One per API process. While Redis is unavailable every request is admitted, without waiting for Redis."""

    def __init__(self, redis_url: str, limit: str) -> None:
        """`limit` is of the form `50/second`. Raises SettingsError."""
        try:
            self._limit = parse(limit)
        except ValueError as error:
            raise SettingsError(f"RATE_LIMIT is not of the form 50/second: {limit}") from error
        pool = redis.ConnectionPool.from_url(
            redis_url,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        storage = RedisStorage(redis_url, pool, key_prefix="chargehand:rate")
        self._limiter = SlidingWindowCounterRateLimiter(storage)
        self._away = False
        self._poller = Poller("rate-limit", self._probe, wanted=lambda: self._away, every_s=PROBE_EVERY_S)

    def count(self, organization_id: str) -> None:
        """Count a request. Raises TooManyRequests."""
        if self._away:
            return
        try:
            if not self._limiter.hit(self._limit, organization_id):
                raise TooManyRequests(self._limit, self._retry_after_s(organization_id))
        except REDIS_ERRORS as error:
            if not self._away:
                log.warning("rate_limit.off", error=str(error))
            self._away = True
            self._poller.ensure_running()

    def close(self) -> None:
        self._poller.close()

    def _retry_after_s(self, organization_id: str) -> int:
        stats = self._limiter.get_window_stats(self._limit, organization_id)
        return max(1, ceil(stats.reset_time - time()))

    def _probe(self) -> None:
        """Try Redis again in the poller's thread, so that no request waits for it."""
        try:
            self._limiter.hit(self._limit, PROBE_KEY)
        except REDIS_ERRORS:
            return
        self._away = False
        log.info("rate_limit.on")
