"""Log an outage of a service once when it begins and once when it ends, not at every try between."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.database.engine import contention, is_unavailable

log = structlog.get_logger(__name__)


class OutageLog:
    """Writes the lines `name.away` and `name.back` for one service. Safe to share between threads."""

    def __init__(self, name: str, *errors: type[Exception]) -> None:
        self._away, self._back = f"{name}.away", f"{name}.back"
        self._errors = errors
        self._since: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def suppress(self) -> Iterator[None]:
        """Swallow the errors of an outage: the sweep or the next beat repeats the work. Other errors pass."""
        try:
            yield
        except self._errors as error:
            self.failed(error)
        else:
            self.recovered()

    def failed(self, error: Exception) -> None:
        """Log the beginning of the outage, if it is not logged yet."""
        with self._lock:
            known, self._since = self._since, self._since or monotonic()
        if known is None:
            log.warning(self._away, error=first_line(error))

    def recovered(self) -> None:
        """Log the end of the outage, if there is one."""
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.info(self._back, away_s=round(monotonic() - since, 1))


class DatabaseOutageLog(OutageLog):
    """The outages of the database. A deadlock or a lock time-out is contention: it has a line of its own."""

    def __init__(self) -> None:
        super().__init__("database", SQLAlchemyError)

    @contextmanager
    def suppress(self) -> Iterator[None]:
        """Swallow an outage and contention. Every other error of a statement passes."""
        try:
            yield
        except SQLAlchemyError as error:
            if is_unavailable(error):
                self.failed(error)
                return
            self.recovered()  # the database has answered
            if contention(error) is None:
                raise
            log.warning("database.contention", error=first_line(error))
        else:
            self.recovered()


def first_line(error: Exception) -> str:
    """The error's type and first line: SQLAlchemy adds the statement and its parameters below."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
