"""Decide which call to ECS goes next at a quota that organizations share.

Organizations take turns. Within an organization the order is by Priority: an urgent call gets several turns for each
turn of a less urgent one, so nothing waits for ever. `SharedTurns` keeps the order in Redis for all workers
(worker/ecs/turns.lua), `LocalTurns` in this process by the same rules; a test compares the two.
"""

import os
import socket
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

MAX_SLEEP_S = 1.0  # a thread sleeps at most this long for its turn; a longer wait is a delay on the row
RESERVED_SHARE = 0.2  # of the burst, kept for urgent calls while none of them has to queue
OBSERVE_SHARE = 0.1  # of the rate: observing gets at least this much while commands keep coming
OBSERVE_MAX_SLEEP_S = 2.0  # to get that share
MAX_LEAD_TURNS = 20  # urgent calls of an organization may go at most so many turns early
ABANDONED_AFTER_S = 15.0  # a caller that is so late for its turn loses its position
WORKER_SEEN_S = 60.0  # a worker process that took no turn for so long is not counted
REDIS_TIMEOUT_S = 0.3
ROUNDING_S = 0.001  # a caller that comes back at its time is not refused for a rounding error

# Workers of another release may run beside this one: the names of the keys stay.
KEYS = ("bucket", "workers", "due", "turns", "ends", "places", "urgent")
SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")


class Priority(IntEnum):
    """What a call to ECS is for. Within an organization the more urgent goes first."""

    LIFECYCLE = 0  #: start, stop, restart: a person waits for it
    PROVISIONING = 1  #: create, update
    REMOVAL = 2  #: delete
    JOB = 3  #: whatever a job requests for many chargers: single commands go first
    UPKEEP = 4  #: repairs of drift, rollouts: no client requested it


#: Turns are shared between an organization's waiting priorities in the reverse ratio: 32 to 8 to 4 to 2 to 1.
COST = {
    Priority.LIFECYCLE: 1,
    Priority.PROVISIONING: 4,
    Priority.REMOVAL: 8,
    Priority.JOB: 16,
    Priority.UPKEEP: 32,
}


class Quota(NamedTuple):
    """A token bucket for a group of ECS operations."""

    per_second: float
    burst: float
    operations: tuple[str, ...]
    urgent: Priority = Priority.LIFECYCLE  #: the most urgent priority that makes these calls


class Caller(NamedTuple):
    """The charger that a call to ECS is made for, and how urgent it is."""

    charger_id: str = (
        ""  #: empty for observing: not queued, it gets what is left over, at least OBSERVE_SHARE
    )
    organization_id: str = ""
    priority: Priority = Priority.UPKEEP

    @property
    def max_sleep_s(self) -> float:
        """Seconds that its thread may sleep for the turn: 0 if no person waits, so that the thread serves commands."""
        return MAX_SLEEP_S if self.charger_id and self.priority <= Priority.PROVISIONING else 0.0


OBSERVER = Caller()


class Turn(NamedTuple):
    """The answer to a caller."""

    granted: bool
    wait_s: float  #: to sleep before the call, or, if it was not granted, to wait before the next try


class Queued(NamedTuple):
    """The state of the queue at one quota."""

    waiting: int  #: callers that have a position
    tokens: float  #: calls that may be made at once; below zero after turns that were granted ahead


class SharedTurns:
    """The order of all workers, in Redis. Safe to share between threads."""

    def __init__(self, redis_url: str) -> None:
        client = redis.Redis.from_url(
            redis_url,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._client = client
        self._take = client.register_script(SCRIPT)
        self._worker = f"{socket.gethostname()}:{os.getpid()}"

    def take(self, group: str, quota: Quota, caller: Caller) -> tuple[Turn, int]:
        """Take a turn, or a position in the queue. Returns it, and how many worker processes share the quota.

        Raises redis.RedisError, within REDIS_TIMEOUT_S. A repeat keeps the caller's position.
        """
        keys = [_key(group, name) for name in KEYS]
        answer: Any = self._take(
            keys=keys,
            args=[
                quota.per_second,
                quota.burst,
                quota.burst * RESERVED_SHARE,
                caller.max_sleep_s,
                MAX_LEAD_TURNS,
                caller.organization_id,
                caller.charger_id,
                caller.priority.value,
                COST[caller.priority],
                int(caller.priority <= quota.urgent),
                self._worker,
                WORKER_SEEN_S,
                ABANDONED_AFTER_S,
                OBSERVE_SHARE,
                OBSERVE_MAX_SLEEP_S,
            ],
        )
        granted, wait_s, workers = answer
        return Turn(bool(granted), float(wait_s)), max(1, int(workers))

    def queues(self, quotas: Mapping[str, Quota]) -> dict[str, Queued]:
        """The state of each quota's queue. Changes nothing. Raises redis.RedisError, within twice REDIS_TIMEOUT_S."""
        seconds, microseconds = self._client.time()
        now = seconds + microseconds / 1_000_000
        with self._client.pipeline(transaction=False) as pipe:
            for group in quotas:
                pipe.hmget(_key(group, "bucket"), "tokens", "at")
                pipe.zcount(_key(group, "due"), now - ABANDONED_AFTER_S, "+inf")
            answers = pipe.execute()
        found = {}
        for index, (group, quota) in enumerate(quotas.items()):
            tokens, at = answers[2 * index]
            refilled = max(0.0, now - float(at)) * quota.per_second if at else 0.0
            found[group] = Queued(
                waiting=answers[2 * index + 1],
                tokens=min(quota.burst, float(tokens) + refilled) if tokens else quota.burst,
            )
        return found


def _key(group: str, name: str) -> str:
    return f"chargehand:ecs:{{{group}}}:{name}"


class LocalTurns:
    """This process's share of the rates while Redis does not answer. Safe to share between threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.sharers = 1  #: worker processes, as Redis last counted them
        self._clock = clock
        self._queues: dict[str, _Queue] = {}  #: by group of operations
        self._lock = threading.Lock()

    def queues(self, quotas: Mapping[str, Quota]) -> dict[str, Queued]:
        """The state of this process's queue at each quota, as its last caller left it."""
        abandoned = self._clock() - ABANDONED_AFTER_S
        with self._lock:
            return {
                group: Queued(sum(at > abandoned for at in queue.expected_at.values()), queue.tokens)
                if (queue := self._queues.get(group)) is not None
                else Queued(0, max(1.0, quota.burst / self.sharers))
                for group, quota in quotas.items()
            }

    def take(self, group: str, quota: Quota, caller: Caller) -> Turn:
        """Take a turn, or a position in the queue. A repeat keeps the caller's position."""
        rate, burst = quota.per_second / self.sharers, max(1.0, quota.burst / self.sharers)
        now = self._clock()
        with self._lock:
            queue = self._queues.get(group) or self._queues.setdefault(group, _Queue(burst, now))
            queue.refill(rate, burst, now)
            if not caller.charger_id:
                return queue.take_for_observer(rate, burst, now)
            return queue.take(caller, urgent=caller.priority <= quota.urgent, rate=rate, burst=burst, now=now)


Waiter = tuple[str, str]  # organization and charger


@dataclass
class _Queue:
    """The callers that wait at one quota. The comments in worker/ecs/turns.lua hold here too.

    Each waiter brings its organization one turn, in the round after that of the organization's last one. The
    organization's first turn goes to the first of its waiters, which are ordered by their positions.
    """

    tokens: float
    refilled_at: float
    turns: list[tuple[int, str]] = field(default_factory=list)  #: round and organization, in order
    next_round: dict[str, int] = field(default_factory=dict)  #: by organization: the one after its last turn
    waiters: dict[str, list[tuple[float, str]]] = field(
        default_factory=dict
    )  #: positions and chargers, in order
    next_position: dict[tuple[str, Priority], int] = field(default_factory=dict)
    position_of: dict[Waiter, float] = field(default_factory=dict)
    expected_at: dict[Waiter, float] = field(default_factory=dict)  #: when each comes back
    urgent: set[str] = field(default_factory=set)  #: chargers that wait for an urgent call
    observed_at: float = float("-inf")

    def refill(self, rate: float, burst: float, now: float) -> None:
        self.tokens = min(burst, self.tokens + (now - self.refilled_at) * rate)
        self.refilled_at = now
        abandoned = now - ABANDONED_AFTER_S
        for waiter in [waiter for waiter, at in self.expected_at.items() if at <= abandoned]:
            self._remove(*waiter, served=False)
        if not self.expected_at:
            self.next_round.clear()

    def take_for_observer(self, rate: float, burst: float, now: float) -> Turn:
        ahead, max_sleep_s = len(self.turns) + RESERVED_SHARE * burst, OBSERVER.max_sleep_s
        if now - self.observed_at + ROUNDING_S >= 1 / (rate * OBSERVE_SHARE):
            ahead, max_sleep_s = 0, OBSERVE_MAX_SLEEP_S
        wait_s = max(0.0, (ahead + 1 - self.tokens) / rate)
        if wait_s <= max_sleep_s + ROUNDING_S:
            self.tokens -= 1
            self.observed_at = now
            return Turn(True, wait_s)
        return Turn(False, wait_s)

    def take(self, caller: Caller, *, urgent: bool, rate: float, burst: float, now: float) -> Turn:
        ahead: float = self._turns_ahead(caller, urgent=urgent, reserved=RESERVED_SHARE * burst)
        wait_s = max(0.0, (ahead + 1 - self.tokens) / rate)
        waiter = (caller.organization_id, caller.charger_id)
        if wait_s <= caller.max_sleep_s + ROUNDING_S:
            self.tokens -= 1
            self._remove(*waiter, served=True)
            return Turn(True, wait_s)
        self.expected_at[waiter] = now + wait_s
        return Turn(False, wait_s)

    def _turns_ahead(self, caller: Caller, *, urgent: bool, reserved: float) -> float:
        organization = caller.organization_id
        position = self._enqueue(caller, urgent=urgent)
        waiters = self.waiters[organization]
        first_round = self.next_round[organization] - len(waiters)
        round_ = first_round + bisect_left(waiters, (position, caller.charger_id))
        ahead = bisect_left(self.turns, (round_, organization))
        if self.urgent <= {caller.charger_id}:  # no other urgent call waits
            if not urgent:
                return ahead + reserved
            if round_ - self.turns[0][0] <= MAX_LEAD_TURNS:
                return 0
        return ahead

    def _enqueue(self, caller: Caller, *, urgent: bool) -> float:
        """Give the caller a position, or keep the one that it has; a more urgent call gets a new one."""
        charger_id, organization, priority = caller
        waiters = self.waiters.setdefault(organization, [])
        position = self.position_of.get((organization, charger_id))
        if position is None:
            current_round = self.turns[0][0] if self.turns else 0
            round_ = max(current_round, self.next_round.get(organization, 0))
            insort(self.turns, (round_, organization))
            self.next_round[organization] = round_ + 1
            position = self._take_position(waiters, organization, priority)
        elif priority < round(position % 1 * 1000):
            waiters.remove((position, charger_id))
            position = self._take_position(waiters, organization, priority)
        else:
            waiters.remove((position, charger_id))
        insort(waiters, (position, charger_id))
        self.position_of[organization, charger_id] = position
        if urgent:
            self.urgent.add(charger_id)
        return position

    def _take_position(
        self, waiters: list[tuple[float, str]], organization: str, priority: Priority
    ) -> float:
        """A whole number that grows with each waiter by the priority's COST, and the priority as its thousandths."""
        first = int(waiters[0][0]) if waiters else 0
        position = max(first, self.next_position.get((organization, priority), 0))
        self.next_position[organization, priority] = position + COST[priority]
        return position + priority / 1000

    def _remove(self, organization: str, charger_id: str, *, served: bool) -> None:
        waiters = self.waiters[organization]
        next_round = self.next_round[organization]
        if served:
            self.turns.remove((next_round - len(waiters), organization))
        else:
            self.turns.remove((next_round - 1, organization))
            self.next_round[organization] = next_round - 1
        waiters.remove((self.position_of.pop((organization, charger_id)), charger_id))
        if not waiters:
            del self.waiters[organization]
            for priority in Priority:
                self.next_position.pop((organization, priority), None)
        self.expected_at.pop((organization, charger_id), None)
        self.urgent.discard(charger_id)
