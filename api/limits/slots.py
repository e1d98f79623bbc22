"""A number of places, of which one organization gets only some."""

import threading
from collections import Counter


class Full(Exception):
    """No place is free."""


class FullForOrganization(Exception):
    """The organization has as many places as it may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The organization has {most} already, which is as many as it may")
        self.most = most


class Places:
    """Safe to share between threads."""

    def __init__(self, most: int, most_per_organization: int) -> None:
        self.most = most
        self.most_per_organization = most_per_organization
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, organization_id: str) -> None:
        """To be given back. Raises Full, FullForOrganization."""
        with self._lock:
            if self._taken.total() >= self.most:
                raise Full
            if self._taken[organization_id] >= self.most_per_organization:
                raise FullForOrganization(self.most_per_organization)
            self._taken[organization_id] += 1

    def give_back(self, organization_id: str) -> None:
        with self._lock:
            self._taken[organization_id] -= 1
            if not self._taken[organization_id]:
                del self._taken[organization_id]
