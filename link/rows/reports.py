"""What chargers say of themselves: their states and their memories."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session


@dataclass(frozen=True, slots=True)
class Report:
    """What a charger said since the last time. `values` has the keys that have changed: csms, connectors, remark."""

    charger_id: str
    session_id: str
    values: dict[str, Any]
    spec_revision: int | None  #: None when unchanged
    spec_error: str | None

    def followed_by(self, newer: "Report") -> "Report":
        """Both in one. What a charger said in an earlier session counts no more."""
        if newer.session_id != self.session_id:
            return newer
        spec = self if newer.spec_revision is None else newer
        return Report(
            self.charger_id, self.session_id, self.values | newer.values, spec.spec_revision, spec.spec_error
        )


@dataclass(frozen=True, slots=True)
class SavedMemory:
    """What a charger keeps over a restart."""

    charger_id: str
    process_id: str
    session_id: str
    boot_id: str
    memory: dict[str, Any]


def write_reports(session: Session, reports: Sequence[Report]) -> None:
    """Write what chargers said, if it was said in the newest session of their process. Safe to repeat."""
    session.execute(_REPORT, {"rows": _rows(reports)})


def write_memories(session: Session, memories: Sequence[SavedMemory]) -> None:
    """Replace the memories of chargers, if they were sent in the newest session of their process. Safe to repeat.

    A host's charger may have started so lately that its report does not name the host yet.
    """
    session.execute(_REMEMBER, {"rows": _rows(memories)})


def read_memories(session: Session, charger_ids: Collection[str]) -> dict[str, dict[str, Any]]:
    """The memories of those chargers that have one."""
    rows = session.execute(_MEMORIES, {"chargers": list(charger_ids)})
    return {row.charger_id: row.memory for row in rows}


def memory_sizes(session: Session, charger_ids: Collection[str]) -> dict[str, int]:
    """How many bytes the memories of those chargers take that have one, as they are stored."""
    rows = session.execute(_MEMORY_SIZES, {"chargers": list(charger_ids)})
    return {row.charger_id: row.size for row in rows}


def _rows(items: Sequence[Report | SavedMemory]) -> str:
    return orjson.dumps([asdict(item) for item in items]).decode()


_REPORT = text("""
UPDATE charger_reports report SET
    csms = CASE WHEN jsonb_exists(said.values, 'csms') THEN NULLIF(said.values -> 'csms', 'null') ELSE csms END,
    connectors = coalesce(said.values -> 'connectors', connectors),
    remark = CASE
        WHEN jsonb_exists(said.values, 'remark') THEN NULLIF(said.values -> 'remark', 'null') ELSE remark
    END,
    spec_revision = coalesce(said.spec_revision, report.spec_revision),
    spec_error = CASE WHEN said.spec_revision IS NULL THEN report.spec_error ELSE said.spec_error END,
    reported_at = clock_timestamp()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS said (charger_id text, session_id text, values jsonb, spec_revision bigint, spec_error text),
    control_sessions held
WHERE report.charger_id = said.charger_id
    AND held.process_id = report.process_id AND held.session_id = said.session_id
""")
_REMEMBER = text("""
INSERT INTO charger_memories AS kept (charger_id, boot_id, memory, saved_at)
SELECT chargers.id, said.boot_id, said.memory, clock_timestamp()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS said (charger_id text, process_id text, session_id text, boot_id text, memory jsonb)
JOIN chargers ON chargers.id = said.charger_id
JOIN control_sessions held ON held.process_id = said.process_id AND held.session_id = said.session_id
WHERE EXISTS (
    SELECT FROM charger_reports report
    WHERE report.charger_id = said.charger_id AND report.process_id = said.process_id
) OR EXISTS (
    SELECT FROM host_chargers placed WHERE placed.charger_id = said.charger_id AND placed.host_id = said.process_id
)
ORDER BY chargers.id
ON CONFLICT (charger_id) DO UPDATE SET
    boot_id = excluded.boot_id, memory = excluded.memory, saved_at = excluded.saved_at
""")
_MEMORIES = text("SELECT charger_id, memory FROM charger_memories WHERE charger_id = ANY(:chargers)")
_MEMORY_SIZES = text("""
SELECT charger_id, pg_column_size(memory) AS size FROM charger_memories WHERE charger_id = ANY(:chargers)
""")
