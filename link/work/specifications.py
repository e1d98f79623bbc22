"""Sends chargers their specification when it has changed."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session as Rows

from link.database import Database
from link.session import Session
from link.sessions import Sessions
from link.work.loop import Loop
from shared.fleet.specification.reading import Specification, read_changes, read_specifications
from shared.sealing import Sealer

POLL_S = 0.5  # a hint may be lost
PAUSE_S = 0.02
MAX_IN_FRAME = 8  # each has at most 64 KiB, the size of the request that set it


class Specifications:
    """One per process. Keeps only up to when it has read."""

    def __init__(self, database: Database, sealer: Sealer, sessions: Sessions) -> None:
        self.loop = Loop("specifications", self._send_changed, every_s=POLL_S, pause_s=PAUSE_S)
        self._database = database
        self._sealer = sealer
        self._sessions = sessions
        self._read_until: datetime | None = None

    async def _send_changed(self) -> None:
        """Send what is newer than a charger has. A charger that connects meanwhile gets it with its welcome."""
        read_until, revisions = await self._database.run(lambda rows: read_changes(rows, self._read_until))
        older = [
            charger_id
            for session in self._sessions
            for charger_id in session.specified(revisions)
            if session.revisions.get(charger_id, -1) < revisions[charger_id]
        ]
        if older:
            found = await self._database.run(lambda rows: read_specifications(rows, older, self._sealer))
            self._send({each.charger_id: each for each in found})
        self._read_until = read_until

    def _send(self, found: dict[str, Specification]) -> None:
        for session in self._sessions:
            mine = [found[charger_id] for charger_id in session.specified(found)]
            newer = [each for each in mine if session.revisions.get(each.charger_id, -1) < each.revision]
            for first in range(0, len(newer), MAX_IN_FRAME):
                _send_frame(session, newer[first : first + MAX_IN_FRAME])


def _send_frame(session: Session, specifications: list[Specification]) -> None:
    session.revisions |= {each.charger_id: each.revision for each in specifications}
    frames = [{"charger": each.charger_id, "spec": frame_of(each)} for each in specifications]
    session.send({"type": "specs", "specs": frames})


def frame_of(specification: Specification) -> dict[str, Any]:
    """As a welcome and a frame have it. It has the charger's secrets in the clear."""
    return {"revision": specification.revision, "environment": specification.environment}


def read_for_welcome(
    rows: Rows, sessions: Iterable[Session], existing: set[str], sealer: Sealer
) -> dict[str, dict[str, Any]]:
    """The specification of each charger whose process has another one, or none."""
    newer: dict[str, dict[str, Any]] = {}
    by_id = {each.charger_id: each for each in read_specifications(rows, sorted(existing), sealer)}
    for session in sessions:
        for charger_id, said in session.chargers.items():
            specification = by_id.get(charger_id)
            if specification is None:
                continue
            session.revisions[charger_id] = specification.revision
            if said.spec_revision != specification.revision:
                newer[charger_id] = frame_of(specification)
    return newer
