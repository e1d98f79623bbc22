"""Sessions for reading, of which one organization gets only some at once: the others' reads do not wait for its own."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, has_request_context
from sqlalchemy import Engine
from sqlalchemy.orm import Session

WAIT_S = 3.0  # for one's own reads to end


class TooManyReads(Exception):
    """The organization's reads took all that it may have at once, for WAIT_S."""

    def __init__(self) -> None:
        super().__init__("Too many requests of the organization read from the database at once")


class Reading:
    """Every statement of a session is its own transaction. Safe to share between threads."""

    def __init__(self, engine: Engine, *, connections: int) -> None:
        """Leaves a quarter of the connections, at least one of several, to other organizations."""
        self._engine = engine
        self._most = max(1, connections - max(1, connections // 4))
        self._taken: Counter[str] = Counter()
        self._changed = threading.Condition()

    @contextmanager
    def __call__(self) -> Iterator[Session]:
        """A session for the current request's organization. Raises TooManyReads."""
        requester = g.get("requester") if has_request_context() else None
        organization_id = requester.organization_id if requester is not None else None
        with self._share(organization_id), Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def _share(self, organization_id: str | None) -> Iterator[None]:
        """Probes and scrapers have no organization, and no bound."""
        if organization_id is None:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._taken[organization_id] < self._most, WAIT_S):
                raise TooManyReads
            self._taken[organization_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[organization_id] -= 1
                if not self._taken[organization_id]:
                    del self._taken[organization_id]
                self._changed.notify_all()
