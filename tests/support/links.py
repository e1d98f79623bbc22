"""Write and read links as the log reader does."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import select

from shared.database.engine import Sessions
from shared.models import ShownLink
from worker.logs.apply_links import apply_links
from worker.logs.links import write_links

TASK = "0" * 32


def line(
    charger_id: str, state: str | None, at: datetime | None = None, task: str = TASK, **other: Any
) -> dict[str, Any]:
    """A line that reports the state, or a frame when the state is None."""
    kind = {"type": "frame"} if state is None else {"type": "connection", "state": state}
    return {"charger_id": charger_id, "task_id": task, "at": at or datetime.now(UTC), **kind, **other}


def read_lines(sessions: Sessions, *lines: dict[str, Any]) -> None:
    """Write these lines as one page, and apply their links."""
    with sessions.begin() as session:
        write_links(session, lines)
    apply_links(sessions, settle_s=5)


def shown_link(sessions: Sessions, charger_id: str) -> ShownLink:
    with sessions() as session:
        return session.scalars(select(ShownLink).where(ShownLink.charger_id == charger_id)).one()
