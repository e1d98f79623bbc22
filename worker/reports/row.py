"""Write and delete a worker's row. The clock is the database's."""

from datetime import timedelta
from typing import Any

from sqlalchemy import and_, delete, func
from sqlalchemy.dialects.postgresql import insert

from shared.database.engine import Sessions
from shared.models import Worker
from shared.operations.processes import SHOWN_FOR


def write_row(sessions: Sessions, columns: dict[str, Any], *, uptime_s: float, is_first: bool) -> None:
    """Write the report. The first one of a process also replaces the row of an earlier process of this name."""
    row = insert(Worker).values(
        **columns, seen_at=func.now(), started_at=func.now() - timedelta(seconds=uptime_s)
    )
    changed = {*columns, "seen_at"} - {"name"} | ({"started_at"} if is_first else set())
    with sessions.autocommit.connect() as connection:
        connection.execute(
            row.on_conflict_do_update(
                index_elements=[Worker.name], set_={name: row.excluded[name] for name in changed}
            )
        )


def delete_row(sessions: Sessions, *, name: str, host: str, pid: int) -> None:
    """Delete the row of the process. The row of a successor with the same name stays. Safe to repeat."""
    own = and_(Worker.name == name, Worker.host == host, Worker.pid == pid)
    with sessions.autocommit.connect() as connection:
        connection.execute(delete(Worker).where(own))


def prune_workers(sessions: Sessions) -> int:
    """Delete the rows of workers that have not reported for an hour. Safe to repeat. Returns how many."""
    with sessions.autocommit.connect() as connection:
        return connection.execute(delete(Worker).where(Worker.seen_at < func.now() - SHOWN_FOR)).rowcount
