"""One line when something begins to fail and one when it works again, not one for every try between."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared.database.engine import contention, is_unavailable

log = structlog.get_logger(__name__)


class OutageLog:
    """What may be away: `name` becomes the lines `name.away` and `name.back`. Safe to share between threads."""

    def __init__(self, name: str, *errors: type[Exception]) -> None:
        self._away, self._back = f"{name}.away", f"{name}.back"
        self._errors = errors
        self._since: float | None = None
        self._lock = threading.Lock()

    @contextmanager
    def suppress(self) -> Iterator[None]:
        """Swallow the errors of an outage: the work is done again, by the sweep or the next beat."""
        try:
            yield
        except self._errors as error:
            self.failed(error)
        else:
            self.recovered()

    def failed(self, error: Exception) -> None:
        with self._lock:
            known, self._since = self._since, self._since or monotonic()
        if known is None:
            log.warning(self._away, error=first_line(error))

    def recovered(self) -> None:
        if self._since is None:
            return
        with self._lock:
            since, self._since = self._since, None
        if since is not None:
            log.info(self._back, away_s=round(monotonic() - since, 1))


class DatabaseOutageLog(OutageLog):
    """The database's. A statement that lost against others is no outage, and no fault of ours: it has a line of its own."""

    def __init__(self) -> None:
        super().__init__("database", SQLAlchemyError)

    @contextmanager
    def suppress(self) -> Iterator[None]:
        """Swallow an outage and contention. Any other error of a statement passes."""
        try:
            yield
        except SQLAlchemyError as error:
            if is_unavailable(error):
                self.failed(error)
                return
            self.recovered()  # it answers
            if contention(error) is None:
                raise
            log.warning("database.contention", error=first_line(error))
        else:
            self.recovered()


def first_line(error: Exception) -> str:
    """Without the statement and its parameters, which SQLAlchemy adds below."""
    return f"{type(error).__name__}: {error}".splitlines()[0]
