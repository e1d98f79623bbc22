"""Limits how many commands or actions of an organization are open at once, by an estimate that is corrected now and then."""

from dataclasses import dataclass
from time import monotonic

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.models import Action, Command
from shared.vocabulary import OPEN, OPEN_ACTION

log = structlog.get_logger(__name__)

COUNT_EVERY_S = 2.0  # the shortest time between two counts for one organization
COUNTS_PER_QUOTA = 10  # a process counts again after it has stored a tenth of the quota


class TooManyOpen(Exception):
    """The organization has as many open commands, or actions, as it may have."""

    def __init__(self, rows: str, max_open: int) -> None:
        super().__init__(
            f"{max_open} {rows} of the organization are not final, the most it may have: try again later"
        )
        self.retry_after_s = 5


@dataclass(slots=True)
class _Estimate:
    counted: int = 0
    stored_since: int = 0  #: by this process, after the count
    counted_at: float = float("-inf")


class OpenQuota:
    """One per API process and kind of row. Most requests cost no query: each process counts after every tenth of the quota.

    So a process exceeds the quota by at most a tenth, and sees finished rows within COUNT_EVERY_S.
    """

    def __init__(
        self, model: type[Command | Action], autocommit: sessionmaker[Session], max_open: int
    ) -> None:
        self._model = model
        self._open = OPEN if model is Command else OPEN_ACTION
        self._autocommit = autocommit
        self._max_open = max_open
        self._of: dict[str, _Estimate] = {}

    def check(self, organization_id: str) -> None:
        """Raise TooManyOpen if the organization may not have one more."""
        found = self._of.get(organization_id)
        if found is None:
            return
        full = found.counted + found.stored_since >= self._max_open
        if full or found.stored_since >= max(1, self._max_open // COUNTS_PER_QUOTA):
            self._correct(organization_id, found)
            full = found.counted + found.stored_since >= self._max_open
        if full:
            raise TooManyOpen(self._model.__tablename__, self._max_open)

    def add(self, organization_id: str, rows: int = 1) -> None:
        """Count new rows; not a repeat, nor a request that was refused."""
        self._of.setdefault(organization_id, _Estimate()).stored_since += rows

    def used(self, organization_id: str) -> int:
        """How many are open, by a count that is at most COUNT_EVERY_S old; at most the quota are counted."""
        found = self._of.setdefault(organization_id, _Estimate())
        self._correct(organization_id, found)
        return found.counted + found.stored_since

    def _correct(self, organization_id: str, found: _Estimate) -> None:
        """Count, unless that was done a moment ago. When the database cannot be read, no request is refused."""
        now = monotonic()
        if now < found.counted_at + COUNT_EVERY_S:
            return
        found.counted_at = now
        is_open = (
            select(self._model.id)
            .where(self._model.organization_id == organization_id, self._model.status.in_(self._open))
            .limit(self._max_open)
        )
        stored = found.stored_since
        try:
            with self._autocommit() as session:
                found.counted = session.scalar(select(func.count()).select_from(is_open.subquery())) or 0
        except SQLAlchemyError as error:
            log.warning(
                "quota.not_counted", rows=self._model.__tablename__, error=str(error).partition("\n")[0]
            )
            found.counted = 0
        found.stored_since -= stored
