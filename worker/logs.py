"""CloudWatch Logs -> charger_logs: the whole fleet's log group, read forward with one cursor.

A page's lines and the cursor are written in one transaction, and a line has a key of its own, so a crash
between two pages loses and doubles nothing. Lines may arrive late: each read starts a little behind.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import structlog
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy import bindparam, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.commands import OcppState
from shared.database import Sessions
from shared.models import Charger, ChargerLog, LogCursor
from shared.settings import EcsSettings, Timing
from worker.ecs import client_config

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef

log = structlog.get_logger(__name__)

PAGE_LIMIT = 10_000  # events in an answer, CloudWatch Logs API reference
PAGES_PER_READ = 20  # then the next beat goes on, so that one read does not hold a thread for long
FIRST_READ_BACK = timedelta(hours=1)  # how far back an unknown log group is read


@dataclass(frozen=True, slots=True)
class Page:
    """A part of the answer."""

    events: "list[FilteredLogEventTypeDef]"
    last: bool


class LogsClient:
    """The fleet's log group. boto3's errors come through: a read that fails is done again."""

    def __init__(self, settings: EcsSettings) -> None:
        self.group = settings.log_group
        self._logs: CloudWatchLogsClient = boto3.session.Session().client(
            "logs", region_name=settings.region, config=client_config(settings)
        )

    def pages(self, since_ms: int) -> Iterator[Page]:
        """What was logged from that instant (Unix ms) on, oldest first."""
        token: dict[str, Any] = {}
        while True:
            answer = self._logs.filter_log_events(
                logGroupName=self.group, startTime=since_ms, limit=PAGE_LIMIT, **token
            )
            next_token = answer.get("nextToken")
            yield Page(answer.get("events", []), last=next_token is None)
            if next_token is None:
                return
            token = {"nextToken": next_token}


#: What a read can raise when CloudWatch is away, slow or not set up.
LOG_ERRORS = (ClientError, BotoCoreError)


def read_logs(sessions: Sessions, logs: LogsClient, timing: Timing) -> int:
    """Copy what is new. Returns how many frames. Safe to repeat, and at once. Raises one of LOG_ERRORS."""
    with sessions.begin() as session:
        since_ms = _cursor(session, logs.group) - round(timing.log_overlap_s * 1000)
    frames = 0
    for number, page in enumerate(logs.pages(since_ms), start=1):
        with sessions.begin() as session:
            frames += _write_page(session, logs.group, page)
        if number == PAGES_PER_READ:
            break
    return frames


def drop_old_logs(sessions: Sessions, retention_days: int) -> list[str]:
    """Drop the days that are older than the retention. Returns their partitions."""
    with sessions.begin() as session:
        today = session.scalars(select(func.now())).one().astimezone(UTC).date()
        oldest = _partition(today - timedelta(days=retention_days))
        names = session.scalars(
            text(
                "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
                "WHERE inhparent = 'charger_logs'::regclass"
            )
        ).all()
        old = sorted(name for name in names if name < oldest)
        for name in old:
            session.execute(text(f"DROP TABLE {name}"))
    return old


def _cursor(session: Session, group: str) -> int:
    """The newest instant (Unix ms) that was read."""
    read_until_ms = session.scalar(select(LogCursor.read_until_ms).where(LogCursor.log_group == group))
    if read_until_ms is None:
        return round((datetime.now(UTC) - FIRST_READ_BACK).timestamp() * 1000)
    return read_until_ms


def _write_page(session: Session, group: str, page: Page) -> int:
    lines = [line for event in page.events if (line := _parse(event)) is not None]
    frames = [_frame(line) for line in lines if line["type"] == "frame"]
    written = 0
    if frames:
        _ensure_partitions(session, {frame["timestamp"].date() for frame in frames})
        statement = insert(ChargerLog).on_conflict_do_nothing().returning(ChargerLog.event_id)
        known = select(Charger.id).where(Charger.id.in_({frame["charger_id"] for frame in frames}))
        chargers = set(session.scalars(known))
        ours = [frame for frame in frames if frame["charger_id"] in chargers]
        if ours:
            written = len(session.execute(statement, ours).all())
    _write_links(session, lines)
    if page.events:
        newest_ms = max(event["timestamp"] for event in page.events)
        session.execute(
            insert(LogCursor)
            .values(log_group=group, read_until_ms=newest_ms)
            .on_conflict_do_update(
                index_elements=[LogCursor.log_group],
                set_={
                    "read_until_ms": func.greatest(LogCursor.read_until_ms, newest_ms),
                    "updated_at": func.now(),
                },
            )
        )
    return written


def _parse(event: "FilteredLogEventTypeDef") -> dict[str, Any] | None:
    """The charger's line, with its key and whose it is; None for what is not a charger's."""
    charger_id, _, rest = event["logStreamName"].partition("/")
    try:
        line = json.loads(event["message"])
    except ValueError:
        return None  # a trace on standard error, say: it stays in CloudWatch
    if not rest or not isinstance(line, dict) or line.get("type") not in {"frame", "connection"}:
        return None
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return {**line, "charger_id": charger_id, "event_id": event["eventId"], "at": at}


def _frame(line: dict[str, Any]) -> dict[str, Any]:
    """NUL is legal in JSON and not in PostgreSQL."""
    message = line.get("message")
    return {
        "charger_id": line["charger_id"],
        "timestamp": line["at"],
        "event_id": line["event_id"],
        "direction": str(line.get("direction", "")),
        "action": str(line.get("action", "")).replace("\0", ""),
        "message": None if message is None else str(message).replace("\0", "\\u0000"),
    }


def _write_links(session: Session, lines: list[dict[str, Any]]) -> None:
    """The newest state of each charger's link to its CSMS, and when it last heard or said something."""
    links: dict[str, dict[str, Any]] = {}
    frames: dict[str, datetime] = {}
    for line in lines:
        charger_id = line["charger_id"]
        if line["type"] == "frame":
            frames[charger_id] = max(frames.get(charger_id, line["at"]), line["at"])
        elif line.get("state") in set(OcppState):
            links[charger_id] = line
    if links:
        session.connection().execute(
            _LINK,
            [
                {
                    "charger": charger_id,
                    "state": line["state"],
                    "why": line.get("detail") or line.get("reason"),
                    "since": line["at"],
                }
                for charger_id, line in sorted(links.items())
            ],
        )
    if frames:
        session.connection().execute(
            _LAST_FRAME, [{"charger": charger_id, "at": at} for charger_id, at in sorted(frames.items())]
        )


# An overlap is read twice: an older line changes nothing.
_LINK = (
    update(Charger)
    .where(
        Charger.id == bindparam("charger"),
        func.coalesce(Charger.ocpp_since, datetime.min.replace(tzinfo=UTC)) < bindparam("since"),
    )
    .values(ocpp_state=bindparam("state"), ocpp_reason=bindparam("why"), ocpp_since=bindparam("since"))
)
_LAST_FRAME = (
    update(Charger)
    .where(
        Charger.id == bindparam("charger"),
        func.coalesce(Charger.ocpp_last_frame_at, datetime.min.replace(tzinfo=UTC)) < bindparam("at"),
    )
    .values(ocpp_last_frame_at=bindparam("at"))
)


def _ensure_partitions(session: Session, days: set[date]) -> None:
    for day in sorted(days):
        name = _partition(day)
        if session.scalar(select(func.to_regclass(name))) is None:
            session.execute(
                text(
                    f"CREATE TABLE IF NOT EXISTS {name} PARTITION OF charger_logs "
                    f"FOR VALUES FROM ('{day}T00:00:00Z') TO ('{day + timedelta(days=1)}T00:00:00Z')"
                )
            )


def _partition(day: date) -> str:
    return f"charger_logs_{day:%Y%m%d}"
