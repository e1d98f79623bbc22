"""Write one page of log events: frames into charger_logs, other lines into charger_log_lines, links into charger_links."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import Charger, ChargerLog
from worker.logs.client import Page
from worker.logs.lines import write_lines
from worker.logs.links import storable, write_links
from worker.logs.partitions import ensure_partitions
from worker.logs.quota import count_stored, within_quota

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


def write_page(session: Session, page: Page, max_bytes_per_day: int) -> int:
    """Write the page's events. Returns how many frames were new. Safe to repeat: an event is stored once."""
    lines = [line for event in page.events if (line := _parse(event)) is not None]
    organization_of = _organizations(session, {line["charger_id"] for line in lines})
    known = [line for line in lines if line["charger_id"] in organization_of]
    ensure_partitions(session, {line["at"].date() for line in known})
    frames = [_frame(line) for line in known if line["type"] == "frame"]
    written = _write_frames(session, frames, organization_of, max_bytes_per_day)
    write_lines(session, known)
    write_links(session, known)
    return written


def _organizations(session: Session, charger_ids: set[str]) -> dict[str, str]:
    """The organization of each charger that there is."""
    if not charger_ids:
        return {}
    known = select(Charger.id, Charger.organization_id).where(Charger.id.in_(charger_ids))
    return {row.id: row.organization_id for row in session.execute(known)}


def _write_frames(
    session: Session, frames: list[dict[str, Any]], organization_of: Mapping[str, str], max_bytes_per_day: int
) -> int:
    """Store the frames, within their organization's quota. Returns how many were new."""
    ours = sorted(within_quota(session, frames, organization_of, max_bytes_per_day), key=_FRAME_KEY)
    if not ours:
        return 0
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
    if not rest or not isinstance(line, dict) or line.get("type") not in ("frame", "connection", "log"):
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
