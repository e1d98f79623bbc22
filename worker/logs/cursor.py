"""Remember how far the log group has been read, in `log_cursors`: a row for the fast passes and one for the slow ones."""

from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import LogCursor
from shared.settings import Timing
from worker.logs.client import Page

FIRST_READ_BACK = timedelta(hours=1)  # how far back a log group without a cursor is read
INGESTED_MARGIN_MS = 300_000  # by which CloudWatch's clock and the database's may differ


@dataclass(frozen=True, slots=True)
class Pass:
    """A reading of the log group that has not reached its end. All times are Unix ms."""

    since_ms: int
    began_ms: int
    newest_ms: int | None = None  #: the newest event so far
    next_token: str | None = None

    def after(self, page: Page) -> "Pass":
        """The pass when this page has been written."""
        newest = [event["timestamp"] for event in page.events]
        if self.newest_ms is not None:
            newest.append(self.newest_ms)
        return replace(self, newest_ms=max(newest, default=None), next_token=page.next_token)


def current_pass(session: Session, group: str, overlap_ms: int) -> Pass:
    """The unfinished pass, or a new one that begins `overlap_ms` before the end of the last."""
    cursor = session.get(LogCursor, group)
    now_ms = _now_ms(session)
    if cursor is None:
        return Pass(now_ms - round(FIRST_READ_BACK.total_seconds() * 1000), now_ms)
    if cursor.unfinished is not None:
        return Pass(**cursor.unfinished)
    return Pass(cursor.read_until_ms - overlap_ms, now_ms)


def current_late_pass(session: Session, name: str, timing: Timing) -> tuple[Pass, int] | None:
    """The slow pass that is unfinished or due, and from which ingestion time (Unix ms) on it copies. None if none is due."""
    now = session.scalars(select(func.now())).one()
    now_ms = round(now.timestamp() * 1000)
    since_ms = now_ms - round(timing.late_logs_hours * 3_600_000)
    cursor = session.get(LogCursor, name)
    if cursor is None:
        return Pass(since_ms, now_ms), since_ms
    ingested_since_ms = cursor.read_until_ms - INGESTED_MARGIN_MS
    if cursor.unfinished is not None:
        unfinished = Pass(**cursor.unfinished)
        return replace(unfinished, next_token=unfinished.next_token or None), ingested_since_ms
    if now < cursor.updated_at + timedelta(seconds=timing.late_logs_every_s):
        return None
    return Pass(since_ms, now_ms), ingested_since_ms


def write_position(session: Session, group: str, current: Pass, *, given_up: bool = False) -> None:
    """Write how far the pass is. The next one begins at its newest event, or at its beginning if that was earlier."""
    seen_ms = current.since_ms if current.newest_ms is None else min(current.newest_ms, current.began_ms)
    at_end = current.next_token is None and not given_up
    read_through_ms = current.began_ms if at_end else seen_ms
    write_cursor(session, group, current, seen_ms, datetime.fromtimestamp(read_through_ms / 1000, UTC))


def write_cursor(
    session: Session, name: str, current: Pass, read_until_ms: int, read_through: datetime | None = None
) -> None:
    """Write the pass while it has a next page, else `read_until_ms`, which never moves back. Safe to repeat."""
    unfinished = None if current.next_token is None else asdict(current)
    first = read_until_ms if unfinished is None else current.since_ms
    statement = insert(LogCursor).values(
        log_group=name, read_until_ms=first, unfinished=unfinished, read_through=read_through
    )
    session.execute(
        statement.on_conflict_do_update(
            index_elements=[LogCursor.log_group],
            set_={
                "read_until_ms": func.greatest(LogCursor.read_until_ms, read_until_ms)
                if unfinished is None
                else LogCursor.read_until_ms,
                "unfinished": statement.excluded.unfinished,
                "read_through": func.greatest(LogCursor.read_through, statement.excluded.read_through),
                "updated_at": func.now(),
            },
        )
    )


def _now_ms(session: Session) -> int:
    return round(session.scalars(select(func.now())).one().timestamp() * 1000)
