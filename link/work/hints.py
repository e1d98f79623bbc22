"""Listens for the hints that the API publishes when there is something to send."""

import asyncio
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from shared.fleet.control import HINTS

log = structlog.get_logger(__name__)

TIMEOUT_S = 5.0
CHECK_S = 10.0  # without a hint: then a Redis that hangs is noticed
PAUSE_AFTER_FAILURE_S = 2.0


async def listen_for_hints(redis_url: str, wake: Callable[[], None]) -> None:
    """Call `wake` for every hint, until cancelled. Without Redis nothing is lost: the link also reads by itself."""
    failing = False
    while True:
        redis = Redis.from_url(redis_url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S)
        try:
            async with redis, redis.pubsub(ignore_subscribe_messages=True) as channel:
                await channel.subscribe(HINTS)
                if failing:
                    log.info("link.hints_back")
                failing = False
                await _read(redis, channel, wake)
        except Exception as error:  # a bug too must not end the listening for good
            if not failing:
                expected = isinstance(error, RedisError | OSError | TimeoutError)
                log.warning(
                    "link.hints_away", error=f"{type(error).__name__}: {error}", exc_info=not expected
                )
            failing = True
            await asyncio.sleep(PAUSE_AFTER_FAILURE_S)


async def _read(redis: Redis, channel: PubSub, wake: Callable[[], None]) -> None:
    """Raises RedisError when Redis is gone or hangs."""
    while True:
        if await channel.get_message(timeout=CHECK_S) is None:
            await redis.ping()
        wake()
