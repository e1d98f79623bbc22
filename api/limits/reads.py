"""Sessions for reading, limited per organization: one organization's reads leave connections for the others."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from flask import g, has_request_context
from sqlalchemy import Engine
from sqlalchemy.orm import Session

WAIT_S = 3.0  # that a request waits for the other reads of its organization to end
REPORT_WAIT_S = 10.0  # that a report waits for the one before it, which may take some seconds


class TooManyReads(Exception):
    """The organization's reads used all the connections that it may have, for as long as one may wait."""

    def __init__(self) -> None:
        super().__init__("Too many requests of the organization read from the database at once")


class ReadSessions:
    """Opens sessions in which every statement is its own transaction. Safe to share between threads."""

    def __init__(self, engine: Engine, *, connections: int, wait_s: float | None = None) -> None:
        """An organization gets three quarters of the connections, and never the last of several."""
        self._engine = engine
        self._wait_s = WAIT_S if wait_s is None else wait_s
        self._max_per_organization = max(1, connections - max(1, connections // 4))
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
        """Probes and scrapers have no organization and no limit."""
        if organization_id is None:
            yield
            return
        with self._changed:
            if not self._changed.wait_for(lambda: self._may_read(organization_id), self._wait_s):
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

    def _may_read(self, organization_id: str) -> bool:
        return self._taken[organization_id] < self._max_per_organization


def report_sessions(engine: Engine) -> ReadSessions:
    """For reports, which read much: one at a time of each organization."""
    return ReadSessions(engine, connections=1, wait_s=REPORT_WAIT_S)
