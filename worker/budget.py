"""Amazon's rate quotas for the ECS API, shared by all workers.

One token bucket in Redis per group of operations, and a queue in front of it: who waits longest goes first.
A call that would have to wait for more than PATIENCE_S is not slept on: it raises BudgetSpent, which says
when its turn is. When Redis does not answer, each worker process goes on with its share of the rate.
"""

import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.settings import BudgetSettings, SettingsError
from worker.outage import Outage

PATIENCE_S = 1.0  # what a thread may sleep for its turn
RESERVE = 0.2  # of the burst: observing and removals leave it to commands
REMOVALS_YIELD_S = 30.0  # a removal lets commands go first that ask up to this much later
LOST_AFTER_S = 15.0  # who did not come back this long after its turn has no place in the queue any more
WORKER_SEEN_S = 60.0  # a worker process that took nothing for this long does not count
REDIS_TIMEOUT_S = 0.3
REDIS_AGAIN_AFTER_S = 5.0


class Quota(NamedTuple):
    per_second: float
    burst: float
    operations: tuple[str, ...]


#: Per account and region: Amazon ECS Developer Guide, "Request throttling for the Amazon ECS API".
QUOTAS = {
    "service_changes": Quota(5, 50, ("CreateService", "UpdateService", "DeleteService")),
    "service_reads": Quota(20, 100, ("DescribeServices",)),
    "task_changes": Quota(40, 100, ("StopTask",)),
    "task_reads": Quota(20, 100, ("DescribeTasks", "ListTasks")),
    "definition_changes": Quota(
        1, 20, ("RegisterTaskDefinition", "DeregisterTaskDefinition", "DeleteTaskDefinitions")
    ),
    "definition_reads": Quota(20, 50, ("DescribeTaskDefinition", "ListTaskDefinitions")),
}
GROUP_OF = {operation: group for group, quota in QUOTAS.items() for operation in quota.operations}


class BudgetSpent(Exception):
    """The call was not made. Its turn comes after delay_s."""

    def __init__(self, delay_s: float) -> None:
        super().__init__(f"Waiting for the ECS rate budget, about {max(1, round(delay_s))} s")
        self.delay_s = delay_s


class Caller(NamedTuple):
    """Who has a place in the queue."""

    charger_id: str = ""  #: none for observing, which takes only what is left over
    removal: bool = False  #: nobody waits for it, so it lets commands go first


OBSERVER = Caller()
_waiting_for: ContextVar[Caller] = ContextVar("waiting_for", default=OBSERVER)


@contextmanager
def on_behalf_of(charger_id: str, *, removal: bool = False) -> Iterator[None]:
    """Calls in this block have a place in the queue. All others (observing) take only what is left over."""
    token = _waiting_for.set(Caller(charger_id, removal))
    try:
        yield
    finally:
        _waiting_for.reset(token)


class Turn(NamedTuple):
    granted: bool
    wait_s: float  #: before the call, or before asking again


class Budget:
    """Asked before every call to ECS. One per worker process, safe to share between threads."""

    def __init__(self, settings: BudgetSettings) -> None:
        """Raises SettingsError."""
        self._quotas = quotas(settings)
        self._shared = SharedBuckets(settings.redis_url) if settings.redis_url else None
        self._local = LocalBuckets()
        self._shared_again_at = 0.0
        self._outage = Outage("budget.redis", redis.RedisError, OSError)

    def take(self, operation: str) -> None:
        """Wait for the operation's turn, up to PATIENCE_S. Raises BudgetSpent."""
        group = GROUP_OF.get(operation)
        if group is None or group not in self._quotas:
            return
        turn = self._turn(group, self._quotas[group], _waiting_for.get())
        if not turn.granted:
            raise BudgetSpent(turn.wait_s)
        if turn.wait_s > 0:
            time.sleep(turn.wait_s)

    def _turn(self, group: str, quota: Quota, caller: Caller) -> Turn:
        if self._shared is not None and time.monotonic() >= self._shared_again_at:
            try:
                turn, self._local.sharers = self._shared.take(group, quota, caller)
            except (redis.RedisError, OSError) as error:
                self._shared_again_at = time.monotonic() + REDIS_AGAIN_AFTER_S
                self._outage.began(error)
            else:
                self._outage.ended()
                return turn
        return self._local.take(group, quota, caller)


def quotas(settings: BudgetSettings) -> Mapping[str, Quota]:
    """What we may use of each; empty when the budget is off. Raises SettingsError."""
    if settings.share <= 0:
        return {}
    own = {}
    for group, value in settings.quotas.items():
        if group not in QUOTAS:
            raise SettingsError(f"ECS_QUOTAS: {group!r} is not one of {', '.join(QUOTAS)}")
        try:
            per_second, burst = (float(number) for number in value.split("/"))
        except ValueError:
            raise SettingsError(f"ECS_QUOTAS: {group} must be RATE/BURST, as in 5/50") from None
        own[group] = Quota(per_second, burst, QUOTAS[group].operations)
    return {
        group: Quota(
            quota.per_second * settings.share, max(1.0, quota.burst * settings.share), quota.operations
        )
        for group, quota in {**QUOTAS, **own}.items()
    }


# The clock is Redis's own, so that the clocks of the workers do not matter. A granted turn takes its token
# at once, also when it comes after a short sleep: the tokens are then below zero, and the next turn later.
TAKE = """
local bucket, waiting, due, workers = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local rate, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local who, reserve, patience = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local yields = tonumber(ARGV[9])
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000

redis.call('ZADD', workers, now, ARGV[6])
redis.call('ZREMRANGEBYSCORE', workers, '-inf', now - tonumber(ARGV[7]))

local lost = redis.call('ZRANGEBYSCORE', due, '-inf', now - tonumber(ARGV[8]), 'LIMIT', 0, 500)
for _, name in ipairs(lost) do
  redis.call('ZREM', waiting, name)
  redis.call('ZREM', due, name)
end

local state = redis.call('HMGET', bucket, 'tokens', 'at')
local tokens = tonumber(state[1]) or burst
tokens = math.min(burst, tokens + math.max(0, now - (tonumber(state[2]) or now)) * rate)

local ahead
if who == '' then
  ahead = redis.call('ZCARD', waiting) + reserve
else
  local ahead_of_new = redis.call('ZCOUNT', waiting, '-inf', now + yields)
  ahead = (redis.call('ZRANK', waiting, who) or ahead_of_new) + reserve
end
local wait = math.max(0, (ahead + 1 - tokens) / rate)
local granted = 0
if wait <= patience then
  granted = 1
  tokens = tokens - 1
  redis.call('ZREM', waiting, who)
  redis.call('ZREM', due, who)
elseif who ~= '' then
  redis.call('ZADD', waiting, 'NX', now + yields, who)
  redis.call('ZADD', due, now + wait, who)
end
redis.call('HSET', bucket, 'tokens', tostring(tokens), 'at', tostring(now))
for _, key in ipairs(KEYS) do redis.call('EXPIRE', key, 7200) end
return {granted, tostring(wait), redis.call('ZCARD', workers)}
"""


class SharedBuckets:
    """The buckets of all workers, in Redis."""

    def __init__(self, redis_url: str) -> None:
        client = redis.Redis.from_url(
            redis_url,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = client.register_script(TAKE)
        self._me = f"{socket.gethostname()}:{os.getpid()}"

    def take(self, group: str, quota: Quota, caller: Caller) -> tuple[Turn, int]:
        """A turn, and how many worker processes there are. Raises redis.RedisError."""
        keys = [f"chargehand:ecs:{{{group}}}:{part}" for part in ("bucket", "waiting", "due", "workers")]
        # Observing does not sleep: what it does not see now, the next look sees.
        patience = _patience_s(caller)
        yields_s = REMOVALS_YIELD_S if caller.removal else 0.0
        arguments = (
            quota.per_second,
            quota.burst,
            caller.charger_id,
            _reserve(quota.burst, caller),
            patience,
        )
        answer: Any = self._take(
            keys=keys, args=[*arguments, self._me, WORKER_SEEN_S, LOST_AFTER_S, yields_s]
        )
        granted, wait_s, workers = answer
        return Turn(bool(granted), float(wait_s)), max(1, int(workers))


@dataclass
class _Bucket:
    tokens: float
    at: float
    promised_at: float = 0.0  #: when the last of those who wait was told to come back


@dataclass
class LocalBuckets:
    """This process's share of the rates, while it cannot ask the others."""

    sharers: int = 1  #: worker processes, as Redis last knew
    _buckets: dict[str, _Bucket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, group: str, quota: Quota, caller: Caller) -> Turn:
        rate, burst = quota.per_second / self.sharers, max(1.0, quota.burst / self.sharers)
        now = time.monotonic()
        with self._lock:
            bucket = self._buckets.setdefault(group, _Bucket(burst, now))
            bucket.tokens = min(burst, bucket.tokens + (now - bucket.at) * rate)
            bucket.at = now
            patience = _patience_s(caller)
            wait_s = max(0.0, (1 + _reserve(burst, caller) - bucket.tokens) / rate)
            if wait_s <= patience:
                bucket.tokens -= 1
                return Turn(True, wait_s)
            if not caller.charger_id:
                return Turn(False, wait_s)
            bucket.promised_at = max(now + wait_s, bucket.promised_at + 1 / rate)
            return Turn(False, bucket.promised_at - now)


def _reserve(burst: float, caller: Caller) -> float:
    """Tokens that the caller leaves to commands."""
    return burst * RESERVE if caller.removal or not caller.charger_id else 0.0


def _patience_s(caller: Caller) -> float:
    """How long the caller's thread may sleep for its turn: observing and removals keep none from a command."""
    return PATIENCE_S if caller.charger_id and not caller.removal else 0.0
