"""Limits how many requests of an API process wait or stream at once, in total and per organization."""

import threading
from collections import Counter


class Full(Exception):
    """All slots of the process are taken."""


class FullForOrganization(Exception):
    """The organization has taken all the slots that it may have."""

    def __init__(self, max_per_organization: int) -> None:
        super().__init__(f"The organization already has {max_per_organization}, the most it may have")
        self.max_per_organization = max_per_organization


class Slots:
    """Counts the slots that are taken. Safe to share between threads."""

    def __init__(self, max_slots: int, max_per_organization: int) -> None:
        self.max_slots = max_slots
        self.max_per_organization = max_per_organization
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def acquire(self, organization_id: str) -> None:
        """Take a slot, to be released by the caller. Raises Full, FullForOrganization."""
        with self._lock:
            if self._taken.total() >= self.max_slots:
                raise Full
            if self._taken[organization_id] >= self.max_per_organization:
                raise FullForOrganization(self.max_per_organization)
            self._taken[organization_id] += 1

    def release(self, organization_id: str) -> None:
        """Give a slot back: once for each `acquire`."""
        with self._lock:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]
