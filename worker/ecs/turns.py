"""Whose turn it is at a quota that organizations share.

Organizations take turns. Within an organization the order is by Priority: a command gets several turns for each one of
what nobody waits for, so nothing waits for ever. `SharedTurns` keeps the order in Redis for all workers
(worker/ecs/turns.lua), `LocalTurns` in this process by the same rules; a test compares the two.
"""

import os
import socket
import threading
import time
from bisect import bisect_left, insort
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

PATIENCE_S = 1.0  # what a thread may sleep for its turn
RESERVE = 0.2  # of the burst: what is less urgent leaves it to what is urgent, as long as that need not queue
OBSERVE_SHARE = 0.1  # of the rate: observing gets as much also while commands leave nothing over
OBSERVE_PATIENCE_S = 2.0  # what it may sleep for that
LEAD = 20  # turns by which urgent commands of an organization may be ahead of others that wait
LOST_AFTER_S = 15.0  # who did not come back this long after its turn has no place in the queue any more
WORKER_SEEN_S = 60.0  # a worker process that took nothing for this long does not count
REDIS_TIMEOUT_S = 0.3
ROUNDING_S = 0.001  # who comes back at its time is not sent away again for a rounding error

SCRIPT = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")


class Priority(IntEnum):
    """What a call to ECS is for. Within an organization the more urgent goes first."""

    LIFECYCLE = 0  #: start, stop, restart: what people wait for
    PROVISIONING = 1  #: create, update
    REMOVAL = 2  #: delete
    UPKEEP = 3  #: what nobody asked for: repairs of drift, rollouts


#: An organization whose waiters are of several priorities gives them turns in the reverse ratio: 16 to 4 to 2 to 1.
COST = {Priority.LIFECYCLE: 1, Priority.PROVISIONING: 4, Priority.REMOVAL: 8, Priority.UPKEEP: 16}


class Quota(NamedTuple):
    per_second: float
    burst: float
    operations: tuple[str, ...]
    urgent: Priority = Priority.LIFECYCLE  #: the most urgent of what makes these calls


class Caller(NamedTuple):
    """Who asks."""

    charger_id: str = (
        ""  #: none for observing: no place in the queue, what is left over, and OBSERVE_SHARE at least
    )
    organization_id: str = ""
    priority: Priority = Priority.UPKEEP

    @property
    def patience_s(self) -> float:
        """How long its thread may sleep for the turn: what nobody waits for keeps no thread from a command."""
        return PATIENCE_S if self.charger_id and self.priority <= Priority.PROVISIONING else 0.0


OBSERVER = Caller()


class Turn(NamedTuple):
    granted: bool
    wait_s: float  #: before the call, or before asking again


class SharedTurns:
    """The order of all workers, in Redis."""

    def __init__(self, redis_url: str) -> None:
        client = redis.Redis.from_url(
            redis_url,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            socket_timeout=REDIS_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = client.register_script(SCRIPT)
        self._me = f"{socket.gethostname()}:{os.getpid()}"

    def take(self, group: str, quota: Quota, caller: Caller) -> tuple[Turn, int]:
        """A turn, and how many worker processes there are. Raises redis.RedisError."""
        names = ("bucket", "workers", "due", "turns", "ends", "places", "urgent")
        keys = [f"chargehand:ecs:{{{group}}}:{name}" for name in names]
        answer: Any = self._take(
            keys=keys,
            args=[
                quota.per_second,
                quota.burst,
                quota.burst * RESERVE,
                caller.patience_s,
                LEAD,
                caller.organization_id,
                caller.charger_id,
                caller.priority.value,
                COST[caller.priority],
                int(caller.priority <= quota.urgent),
                self._me,
                WORKER_SEEN_S,
                LOST_AFTER_S,
                OBSERVE_SHARE,
                OBSERVE_PATIENCE_S,
            ],
        )
        granted, wait_s, workers = answer
        return Turn(bool(granted), float(wait_s)), max(1, int(workers))


class LocalTurns:
    """This process's share of the rates, while it cannot ask the others."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.sharers = 1  #: worker processes, as Redis last knew
        self._clock = clock
        self._lines: dict[str, _Line] = {}
        self._lock = threading.Lock()

    def take(self, group: str, quota: Quota, caller: Caller) -> Turn:
        rate, burst = quota.per_second / self.sharers, max(1.0, quota.burst / self.sharers)
        now = self._clock()
        with self._lock:
            line = self._lines.get(group) or self._lines.setdefault(group, _Line(burst, now))
            line.refill(rate, burst, now)
            if not caller.charger_id:
                return line.leave_rest(rate, burst, now)
            return line.ask(caller, urgent=caller.priority <= quota.urgent, rate=rate, burst=burst, now=now)


@dataclass
class _Line:
    """Who waits at one quota. The comments in worker/ecs/turns.lua hold here, too."""

    tokens: float
    at: float
    slots: list[tuple[int, str]] = field(default_factory=list)  #: turns and whose they are, in order
    ends: dict[str, int] = field(default_factory=dict)  #: the turn after each organization's last one
    queues: dict[str, list[tuple[float, str]]] = field(default_factory=dict)  #: places and chargers, in order
    places: dict[tuple[str, Priority], int] = field(default_factory=dict)  #: the next of each kind
    place_of: dict[tuple[str, str], float] = field(default_factory=dict)  #: by organization and charger
    due: dict[tuple[str, str], float] = field(default_factory=dict)  #: when they come back; likewise
    urgents: set[str] = field(default_factory=set)
    observed_at: float = float("-inf")

    def refill(self, rate: float, burst: float, now: float) -> None:
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        for waiter in [waiter for waiter, due in self.due.items() if due <= now - LOST_AFTER_S]:
            self._leave(*waiter, served=False)
        if not self.due:
            self.ends.clear()

    def leave_rest(self, rate: float, burst: float, now: float) -> Turn:
        """Observing: it takes what is left over, and OBSERVE_SHARE at least."""
        ahead, patience_s = len(self.slots) + RESERVE * burst, OBSERVER.patience_s
        if now - self.observed_at + ROUNDING_S >= 1 / (rate * OBSERVE_SHARE):
            ahead, patience_s = 0, OBSERVE_PATIENCE_S
        wait_s = max(0.0, (ahead + 1 - self.tokens) / rate)
        if wait_s <= patience_s + ROUNDING_S:
            self.tokens -= 1
            self.observed_at = now
            return Turn(True, wait_s)
        return Turn(False, wait_s)

    def ask(self, caller: Caller, *, urgent: bool, rate: float, burst: float, now: float) -> Turn:
        ahead: float = self._ahead(caller, urgent=urgent, reserve=RESERVE * burst)
        wait_s = max(0.0, (ahead + 1 - self.tokens) / rate)
        waiter = (caller.organization_id, caller.charger_id)
        if wait_s <= caller.patience_s + ROUNDING_S:
            self.tokens -= 1
            self._leave(*waiter, served=True)
            return Turn(True, wait_s)
        self.due[waiter] = now + wait_s
        return Turn(False, wait_s)

    def _ahead(self, caller: Caller, *, urgent: bool, reserve: float) -> float:
        """How many go first."""
        organization = caller.organization_id
        place = self._join(caller, urgent=urgent)
        queue = self.queues[organization]
        turn = self.ends[organization] - len(queue) + bisect_left(queue, (place, caller.charger_id))
        ahead = bisect_left(self.slots, (turn, organization))
        if self.urgents <= {caller.charger_id}:
            if not urgent:
                return ahead + reserve
            if turn - self.slots[0][0] <= LEAD:
                return 0
        return ahead

    def _join(self, caller: Caller, *, urgent: bool) -> float:
        """The caller's place in its organization's queue."""
        charger_id, organization, priority = caller
        queue = self.queues.setdefault(organization, [])
        place = self.place_of.get((organization, charger_id))
        if place is None:
            round_ = self.slots[0][0] if self.slots else 0
            turn = max(round_, self.ends.get(organization, 0))
            insort(self.slots, (turn, organization))
            self.ends[organization] = turn + 1
            place = self._next_place(queue, organization, priority)
        elif priority < round(place % 1 * 1000):
            queue.remove((place, charger_id))
            place = self._next_place(queue, organization, priority)
        else:
            queue.remove((place, charger_id))
        insort(queue, (place, charger_id))
        self.place_of[organization, charger_id] = place
        if urgent:
            self.urgents.add(charger_id)
        return place

    def _next_place(self, queue: list[tuple[float, str]], organization: str, priority: Priority) -> float:
        first = int(queue[0][0]) if queue else 0
        place = max(first, self.places.get((organization, priority), 0))
        self.places[organization, priority] = place + COST[priority]
        return place + priority / 1000

    def _leave(self, organization: str, charger_id: str, *, served: bool) -> None:
        queue = self.queues[organization]
        last = self.ends[organization]
        if served:
            self.slots.remove((last - len(queue), organization))
        else:
            self.slots.remove((last - 1, organization))
            self.ends[organization] = last - 1
        queue.remove((self.place_of.pop((organization, charger_id)), charger_id))
        if not queue:
            del self.queues[organization]
            for priority in Priority:
                self.places.pop((organization, priority), None)
        self.due.pop((organization, charger_id), None)
        self.urgents.discard(charger_id)
