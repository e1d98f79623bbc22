"""How many commands of an organization may be open at once: an estimate that is corrected now and then."""

from dataclasses import dataclass
from time import monotonic

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from shared.models import Command
from shared.vocabulary import OPEN

log = structlog.get_logger(__name__)

COUNT_EVERY_S = 2.0  # at most, for each organization
SHARE = 10  # of the quota: so much of it is stored by a process between two counts


class TooManyOpenCommands(Exception):
    """As many of the organization's commands are open as may be."""

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} commands of the organization are not final, which is as many as may be: try again later"
        )
        self.retry_after_s = 5


@dataclass(slots=True)
class _Estimate:
    counted: int = 0
    since: int = 0  #: stored by this process after that
    counted_at: float = float("-inf")


class OpenQuota:
    """One per API process. Most requests cost no query: each process counts after every tenth of the quota.

    So the quota is exceeded by a tenth per process at most, and frees itself within COUNT_EVERY_S.
    """

    def __init__(self, autocommit: sessionmaker[Session], most: int) -> None:
        self._autocommit = autocommit
        self._most = most
        self._of: dict[str, _Estimate] = {}

    def check(self, organization_id: str) -> None:
        """Whether there may be one more. Raises TooManyOpenCommands."""
        found = self._of.get(organization_id)
        if found is None:
            return
        full = found.counted + found.since >= self._most
        if full or found.since >= max(1, self._most // SHARE):
            self._correct(organization_id, found)
            full = found.counted + found.since >= self._most
        if full:
            raise TooManyOpenCommands(self._most)

    def add(self, organization_id: str) -> None:
        """One more was stored. What was a repeat, or was refused, is none."""
        self._of.setdefault(organization_id, _Estimate()).since += 1

    def _correct(self, organization_id: str, found: _Estimate) -> None:
        """Count, unless that was done a moment ago. When the database does not say, nobody is refused."""
        now = monotonic()
        if now < found.counted_at + COUNT_EVERY_S:
            return
        found.counted_at = now
        is_open = (
            select(Command.id)
            .where(Command.organization_id == organization_id, Command.status.in_(OPEN))
            .limit(self._most)
        )
        since = found.since
        try:
            with self._autocommit() as session:
                found.counted = session.scalar(select(func.count()).select_from(is_open.subquery())) or 0
        except SQLAlchemyError as error:
            log.warning("open_commands.not_counted", error=str(error).partition("\n")[0])
            found.counted = 0
        found.since -= since
