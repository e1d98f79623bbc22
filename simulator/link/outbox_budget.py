"""What the outboxes of a process may have together: a thousand chargers may be without a CSMS for days."""

from typing import Protocol
from weakref import WeakSet

#: Of all durable messages, as they lie in memory. A host of 1,000 chargers has 512 MiB.
BUDGET_BYTES = 64 * 1024 * 1024


class Holder(Protocol):
    @property
    def size(self) -> int:
        """Bytes."""

    def give_up_some(self) -> int:
        """Drops what matters least. Returns how many messages that were; 0: it has none that it could drop."""


class Budget:
    """When all have too much, the one with the most drops some; so one that has little loses nothing."""

    def __init__(self, limit_bytes: int = BUDGET_BYTES) -> None:
        self.dropped = 0  #: messages, so far
        self._limit_bytes = limit_bytes
        self._holders: WeakSet[Holder] = WeakSet()
        self._at_most = 0  #: what they have is not more
        self._is_dropping = False

    def add(self, holder: Holder) -> None:
        self._holders.add(holder)

    def take(self, size: int) -> None:
        """One of them has so many bytes more."""
        self._at_most += size
        if self._at_most <= self._limit_bytes or self._is_dropping:
            return
        self._is_dropping = True
        try:
            self._make_room()
        finally:
            self._is_dropping = False

    def _make_room(self) -> None:
        self._at_most = sum(each.size for each in self._holders)
        while self._at_most > self._limit_bytes:
            largest = max(self._holders, key=lambda each: each.size)
            before = largest.size
            dropped = largest.give_up_some()
            if not dropped:
                return
            self.dropped += dropped
            self._at_most -= before - largest.size


#: Of this process.
BUDGET = Budget()
