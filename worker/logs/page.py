"""Write one page of log events: frames into charger_logs, and what they say of links into charger_links."""

import json
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import Charger, ChargerLog
from worker.logs.client import Page
from worker.logs.links import storable, write_links
from worker.logs.partitions import ensure_partitions
from worker.logs.quota import count_stored, within_quota

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


def write_page(session: Session, page: Page, max_bytes_per_day: int) -> int:
    """Write the page's events. Returns how many frames were new. Safe to repeat: an event is stored once."""
    lines = [line for event in page.events if (line := _parse(event)) is not None]
    frames = [_frame(line) for line in lines if line["type"] == "frame"]
    written = _write_frames(session, frames, max_bytes_per_day)
    write_links(session, lines)
    return written


def _write_frames(session: Session, frames: list[dict[str, Any]], max_bytes_per_day: int) -> int:
    """Store the frames of known chargers, within their organization's quota. Returns how many were new."""
    of_frames = Charger.id.in_({frame["charger_id"] for frame in frames})
    known = select(Charger.id, Charger.organization_id).where(of_frames)
    organization_of = {row.id: row.organization_id for row in session.execute(known)} if frames else {}
    ours = [frame for frame in frames if frame["charger_id"] in organization_of]
    ours = sorted(within_quota(session, ours, organization_of, max_bytes_per_day), key=_FRAME_KEY)
    if not ours:
        return 0
    ensure_partitions(session, {frame["timestamp"].date() for frame in ours})
    statement = insert(ChargerLog).on_conflict_do_nothing().returning(ChargerLog.event_id)
    stored = set(session.scalars(statement, ours))
    count_stored(session, ours, stored, organization_of)
    return len(stored)


#: Concurrent readers insert in this order, so that they cannot deadlock.
_FRAME_KEY = itemgetter("charger_id", "timestamp", "event_id")


def _parse(event: "FilteredLogEventTypeDef") -> dict[str, Any] | None:
    """The charger's line with its charger, ECS task, time and event id. None for an event that is no charger's line."""
    charger_id, _, rest = event["logStreamName"].partition("/")
    try:
        line = json.loads(event["message"])
    except (ValueError, RecursionError):
        return None  # for example a trace on standard error: it stays in CloudWatch
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
