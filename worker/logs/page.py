"""Write one page of log events: frames into charger_logs, other lines into charger_log_lines, links into charger_links.

The stream of a host holds the lines of many chargers, and each line names its own. It counts only if host and charger are of
one organization: whoever takes over a host's process writes into no other tenant's log.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, union_all
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.ids import HOST_PREFIX
from shared.models import Charger, ChargerLog, Host
from worker.logs.client import Page
from worker.logs.lines import write_lines
from worker.logs.links import storable, write_links
from worker.logs.numbers import write_numbers
from worker.logs.partitions import ensure_partitions
from worker.logs.quota import count_stored, within_quota

if TYPE_CHECKING:
    from mypy_boto3_logs.type_defs import FilteredLogEventTypeDef


CHARGER_ID = re.compile(r"dep-[0-9a-f]{1,64}")
BOOT_ID = re.compile(r"[0-9a-f]{1,64}")
MAX_NUMBER = 2**31 - 2  # of a line: the end of a range of them is an integer of PostgreSQL


def write_page(session: Session, page: Page, max_bytes_per_day: int) -> int:
    """Write the page's events. Returns how many frames were new. Safe to repeat: an event is stored once."""
    lines = [line for event in page.events if (line := _parse(event)) is not None]
    organization_of = _organizations(session, lines)
    known = [line for line in lines if _is_ours(line, organization_of)]
    ensure_partitions(session, {line["at"].date() for line in known})
    frames = [_frame(line) for line in known if line["type"] == "frame"]
    written = _write_frames(session, frames, organization_of, max_bytes_per_day)
    write_lines(session, known)
    write_links(session, known)
    write_numbers(session, known)
    return written


def _organizations(session: Session, lines: list[dict[str, Any]]) -> dict[str, str]:
    """The organization of each charger and each host of the lines that there is."""
    charger_ids = {line["charger_id"] for line in lines}
    host_ids = {line["host_id"] for line in lines} - {None}
    if not charger_ids:
        return {}
    known = select(Charger.id, Charger.organization_id).where(Charger.id.in_(charger_ids))
    hosts = select(Host.id, Host.organization_id).where(Host.id.in_(host_ids))
    statement = union_all(known, hosts) if host_ids else known
    return {row.id: row.organization_id for row in session.execute(statement)}


def _is_ours(line: dict[str, Any], organization_of: Mapping[str, str]) -> bool:
    organization_id = organization_of.get(line["charger_id"])
    host_id = line["host_id"]
    return organization_id is not None and (
        host_id is None or organization_of.get(host_id) == organization_id
    )


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
    """The line with its charger, process, time and event id. None for an event that is no charger's line."""
    process_id, _, rest = event["logStreamName"].partition("/")
    try:
        line = json.loads(event["message"])
    except (ValueError, RecursionError):
        return None  # for example a trace on standard error: it stays in CloudWatch
    if not rest or not isinstance(line, dict) or line.get("type") not in ("frame", "connection", "log"):
        return None
    source: dict[str, Any] | None
    if process_id.startswith(HOST_PREFIX):
        source = _source_in_host(process_id, line)
    else:
        source = {
            "host_id": None,
            "charger_id": process_id,
            "task_id": rest.rpartition("/")[2],
            "number": None,
        }
    if source is None:
        return None
    at = datetime.fromtimestamp(event["timestamp"] / 1000, UTC)
    return {**line, **source, "event_id": event["eventId"], "at": at}


def _source_in_host(host_id: str, line: dict[str, Any]) -> dict[str, Any] | None:
    """Whose line it is that a host wrote, and its number since the charger's start, which counts as a task.

    None for what the host says of itself, which stays in CloudWatch.
    """
    charger_id, boot_id, number = line.get("charger"), line.get("boot"), line.get("n")
    if not (isinstance(charger_id, str) and CHARGER_ID.fullmatch(charger_id)):
        return None
    if not (isinstance(boot_id, str) and BOOT_ID.fullmatch(boot_id)):
        return None
    if type(number) is not int or not 0 <= number <= MAX_NUMBER:
        return None
    return {"host_id": host_id, "charger_id": charger_id, "task_id": boot_id, "number": number}


def _frame(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "charger_id": line["charger_id"],
        "timestamp": line["at"],
        "event_id": line["event_id"],
        "direction": storable(line.get("direction")) or "",
        "action": storable(line.get("action")) or "",
        "message": storable(line.get("message")),
    }
