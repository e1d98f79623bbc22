"""CloudWatch Logs -> charger_logs: the whole fleet's log group, read forward with one cursor.

The group is read in passes, from a little behind the end of the last one (lines may arrive late) to the
newest line. A page's lines and the place of the next page are written in one transaction, and a line has a
key of its own, so a crash between two pages loses and doubles nothing, and a flood of pages is read in parts.

CloudWatch may get a line hours late, behind the cursor. So a second, slow pass goes through the last hours again, and
copies what CloudWatch has ingested since the pass before it.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import boto3
import structlog
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import Charger, ChargerLog, LogCursor
from shared.settings import EcsSettings, Timing
from worker.ecs.client import client_config
from worker.observe.links import note_links, storable, write_links
from worker.observe.log_quota import count_stored, prune_volumes, within_quota

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

log = structlog.get_logger(__name__)

READ_TIMEOUT_S = 10.0  # at least: CloudWatch searches for seconds before it answers
PAGE_LIMIT = 10_000  # events in an answer, CloudWatch Logs API reference
PAGES_PER_READ = 20  # then the next beat goes on, so that one read does not hold a thread for long
LATE_PAGES_PER_READ = 2  # of the slow pass: far below the 5 calls per second of the quota
INGESTED_MARGIN_MS = 300_000  # by which CloudWatch's clock and the database's may differ
PARTITIONS_LOCK = 0x4C4F4753  # any number that nobody else locks in this database
FIRST_READ_BACK = timedelta(hours=1)  # how far back an unknown log group is read


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the answer."""

    events: "list[FilteredLogEventTypeDef]"
    next_token: str | None  #: None on the last one


@dataclass(frozen=True, slots=True)
class Pass:
    """A way through the log group that is not at its end yet. All times are Unix ms."""

    since_ms: int
    began_ms: int
    newest_ms: int | None = None  #: of the lines so far
    next_token: str | None = None


class LogsClient:
    """The fleet's log group. boto3's errors come through: a read that fails is done again."""

    def __init__(self, settings: EcsSettings, *, most_bytes: int) -> None:
        self.group = settings.log_group
        self.most_bytes = most_bytes  #: of frames kept per organization and day; 0 keeps all
        config = client_config(settings).merge(
            Config(read_timeout=max(READ_TIMEOUT_S, settings.read_timeout_s))
        )
        self._logs: CloudWatchLogsClient = boto3.session.Session().client(
            "logs", region_name=settings.region, config=config
        )

    def pages(self, since_ms: int, next_token: str | None = None) -> Iterator[Page]:
        """What was logged from that instant (Unix ms) on, oldest first; or from a token that was its next."""
        while True:
            token: dict[str, Any] = {} if next_token is None else {"nextToken": next_token}
            answer = self._logs.filter_log_events(
                logGroupName=self.group, startTime=since_ms, limit=PAGE_LIMIT, **token
            )
            next_token = answer.get("nextToken")
            yield Page(answer["events"], next_token)
            if next_token is None:
                return


#: What a read can raise when CloudWatch is away, slow, not set up, or cuts its answer.
LOG_ERRORS = (ClientError, BotoCoreError, KeyError)


def read_logs(sessions: Sessions, logs: LogsClient, timing: Timing) -> int:
    """Copy what is new. Returns how many frames. Safe to repeat, and at once. Raises one of LOG_ERRORS."""
    overlap_ms = round(timing.log_overlap_s * 1000)
    with sessions.begin() as session:
        current = _pass(session, logs.group, overlap_ms)
    note_links(sessions, timing.settle_s)  # what a worker left that ended meanwhile
    frames = 0
    try:
        for number, page in enumerate(logs.pages(current.since_ms, current.next_token), start=1):
            current = _after(current, page)
            with sessions.begin() as session:
                frames += _write_page(session, page, logs.most_bytes)
                _write_position(session, logs.group, current)
            note_links(sessions, timing.settle_s)
            if number == PAGES_PER_READ:
                break
    except ClientError as error:
        if current.next_token is None or error.response["Error"]["Code"] != "InvalidParameterException":
            raise
        # The token is too old, or another group's: begin a pass where this one got to.
        with sessions.begin() as session:
            _write_position(session, logs.group, replace(current, next_token=None), given_up=True)
    return frames


def read_late_logs(sessions: Sessions, logs: LogsClient, timing: Timing) -> int:
    """Go on with the slow pass, or begin one when it is time. Returns how many frames it copied.

    Safe to repeat, and at once. Raises one of LOG_ERRORS.
    """
    if timing.late_logs_every_s <= 0:
        return 0
    name = f"{logs.group}:late"  # no log group has a colon in its name
    with sessions.begin() as session:
        begun = _late_pass(session, name, timing)
    if begun is None:
        return 0
    current, ingested_since_ms = begun
    frames = 0
    try:
        for number, page in enumerate(logs.pages(current.since_ms, current.next_token), start=1):
            current = replace(current, next_token=page.next_token)
            with sessions.begin() as session:
                frames += _write_page(session, _ingested_since(page, ingested_since_ms), logs.most_bytes)
                _write_cursor(session, name, current, current.began_ms)
            note_links(sessions, timing.settle_s)
            if number == LATE_PAGES_PER_READ:
                break
    except ClientError as error:
        if current.next_token is None or error.response["Error"]["Code"] != "InvalidParameterException":
            raise
        with sessions.begin() as session:  # the token is too old: go through the hours again
            _write_cursor(session, name, replace(current, next_token=""), current.began_ms)
    return frames


def _late_pass(session: Session, name: str, timing: Timing) -> tuple[Pass, int] | None:
    """The slow pass that is under way or due, and since when it copies what was ingested; None if none is due."""
    now = session.scalars(select(func.now())).one()
    now_ms = round(now.timestamp() * 1000)
    since_ms = now_ms - round(timing.late_logs_hours * 3_600_000)
    cursor = session.get(LogCursor, name)
    if cursor is None:
        return Pass(since_ms, now_ms), since_ms
    ingested_since_ms = cursor.read_until_ms - INGESTED_MARGIN_MS
    if cursor.unfinished is not None:
        current = Pass(**cursor.unfinished)
        return replace(current, next_token=current.next_token or None), ingested_since_ms
    if now < cursor.updated_at + timedelta(seconds=timing.late_logs_every_s):
        return None
    return Pass(since_ms, now_ms), ingested_since_ms


def _ingested_since(page: Page, ms: int) -> Page:
    return replace(page, events=[event for event in page.events if event.get("ingestionTime", ms) >= ms])


def prune_logs(sessions: Sessions, retention_days: int) -> list[str]:
    """Drop the days that are older than the retention. Returns their partitions."""
    with sessions.begin() as session:
        today = session.scalars(select(func.now())).one().astimezone(UTC).date()
        oldest = _partition(today - timedelta(days=retention_days))
        old = [name for name in log_partitions(session) if name < oldest]
        for name in old:
            session.execute(text(f"DROP TABLE {name}"))
        prune_volumes(session, before=today - timedelta(days=retention_days))
    return old


def log_partitions(session: Session) -> list[str]:
    """The tables of charger_logs, a day each, the oldest first."""
    names = session.scalars(
        text(
            "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
            "WHERE inhparent = 'charger_logs'::regclass"
        )
    )
    return sorted(names)


def _pass(session: Session, group: str, overlap_ms: int) -> Pass:
    """The pass that is under way, or a new one."""
    cursor = session.get(LogCursor, group)
    now_ms = round(session.scalars(select(func.now())).one().timestamp() * 1000)
    if cursor is None:
        return Pass(now_ms - round(FIRST_READ_BACK.total_seconds() * 1000), now_ms)
    if cursor.unfinished is not None:
        return Pass(**cursor.unfinished)
    return Pass(cursor.read_until_ms - overlap_ms, now_ms)


def _after(current: Pass, page: Page) -> Pass:
    newest = [event["timestamp"] for event in page.events]
    if current.newest_ms is not None:
        newest.append(current.newest_ms)
    return replace(current, newest_ms=max(newest, default=None), next_token=page.next_token)


def _write_position(session: Session, group: str, current: Pass, *, given_up: bool = False) -> None:
    """A pass that ends leaves where the next one looks from: before its own beginning, if it took long."""
    seen_ms = current.since_ms if current.newest_ms is None else min(current.newest_ms, current.began_ms)
    at_end = current.next_token is None and not given_up
    read_through_ms = current.began_ms if at_end else seen_ms
    _write_cursor(session, group, current, seen_ms, datetime.fromtimestamp(read_through_ms / 1000, UTC))


def _write_cursor(
    session: Session, name: str, current: Pass, read_until_ms: int, read_through: datetime | None = None
) -> None:
    """An unfinished pass leaves `read_until_ms` as the one before it wrote it; a finished one never puts it back."""
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


def _write_page(session: Session, page: Page, most_bytes: int) -> int:
    lines = [line for event in page.events if (line := _parse(event)) is not None]
    written = _write_frames(session, [_frame(line) for line in lines if line["type"] == "frame"], most_bytes)
    write_links(session, lines)
    return written


def _write_frames(session: Session, frames: list[dict[str, Any]], most_bytes: int) -> int:
    """Those of chargers that we know, within their organization's quota. Returns how many were new."""
    of_frames = Charger.id.in_({frame["charger_id"] for frame in frames})
    known = select(Charger.id, Charger.organization_id).where(of_frames)
    organization_of = {row.id: row.organization_id for row in session.execute(known)} if frames else {}
    ours = [frame for frame in frames if frame["charger_id"] in organization_of]
    ours = sorted(within_quota(session, ours, organization_of, most_bytes), key=_FRAME_KEY)
    if not ours:
        return 0
    ensure_partitions(session, {frame["timestamp"].date() for frame in ours})
    statement = insert(ChargerLog).on_conflict_do_nothing().returning(ChargerLog.event_id)
    stored = set(session.scalars(statement, ours))
    count_stored(session, ours, stored, organization_of)
    return len(stored)


_FRAME_KEY = itemgetter("charger_id", "timestamp", "event_id")  # two readers at once insert in one order


def _parse(event: "FilteredLogEventTypeDef") -> dict[str, Any] | None:
    """The charger's line, with its key, its charger and its ECS task; None for what is not a charger's."""
    charger_id, _, rest = event["logStreamName"].partition("/")
    try:
        line = json.loads(event["message"])
    except (ValueError, RecursionError):
        return None  # a trace on standard error, say: it stays in CloudWatch
    if not rest or not isinstance(line, dict) or line.get("type") not in ("frame", "connection"):
        return None
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    task_id = rest.rpartition("/")[2]
    return {**line, "charger_id": charger_id, "task_id": task_id, "event_id": event["eventId"], "at": at}


def _frame(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "charger_id": line["charger_id"],
        "timestamp": line["at"],
        "event_id": line["event_id"],
        "direction": storable(line.get("direction")) or "",
        "action": storable(line.get("action")) or "",
        "message": storable(line.get("message")),
    }


def ensure_partitions(session: Session, days: set[date]) -> None:
    """Two workers may see the first line of a day at once: the second waits, and finds the table."""
    for day in sorted(days):
        name = _partition(day)
        if session.scalar(select(func.to_regclass(name))) is None:
            session.execute(select(func.pg_advisory_xact_lock(PARTITIONS_LOCK)))
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF charger_logs "
                    f"FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')"
                )
            )


def _partition(day: date) -> str:
    return f"charger_logs_{day:%Y%m%d}"
