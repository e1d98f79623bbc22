"""Who is connected: the rows of control_links and control_sessions, and the chargers of each process."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.fleet.control import LINK_TIMEOUT

_TIMEOUT = f"interval '{LINK_TIMEOUT.total_seconds()} s'"


@dataclass(frozen=True, slots=True)
class Arrival:
    """A process that has said hello."""

    process_id: str
    session_id: str
    boot_id: str
    version: str


@dataclass(frozen=True, slots=True)
class ArrivedCharger:
    """A charger of such a process."""

    charger_id: str
    process_id: str
    session_id: str
    boot_id: str
    spec_revision: int | None


@dataclass(frozen=True, slots=True)
class Departure:
    """A session that has ended."""

    process_id: str
    session_id: str


def write_heartbeat(session: Session, link_id: str) -> None:
    """Say that this process of the link lives. Its sessions count as ended LINK_TIMEOUT after the last time."""
    session.execute(_HEARTBEAT, {"link": link_id})


def take_sessions(session: Session, link_id: str, arrivals: Sequence[Arrival]) -> set[str]:
    """Give each process its session, and return the processes that have it. At most one arrival of a process.

    A process is refused while another boot of it has a session with a living link. Of two processes that arrive at the same
    time one is taken. Safe to repeat.
    """
    return set(session.scalars(_TAKE, {"link": link_id, "rows": _rows(arrivals)}))


def adopt_chargers(
    session: Session, chargers: Sequence[ArrivedCharger], *, started: bool = False
) -> set[str]:
    """Write which process and boot the chargers have now. Returns those that exist. Safe to repeat.

    A charger that is placed on a host exists for that host only, and for a host only the chargers that are placed on it. What a
    charger of an older boot reported is removed, except for its memory. With `started` only those count that have started on a
    host, by its rows, since it was written last.
    """
    given = {"rows": _rows(chargers), "started": started}
    return set(session.scalars(_ADOPT, given))


def end_sessions(session: Session, departures: Sequence[Departure]) -> None:
    """Write that these sessions have ended. A newer session of the same process stays. Safe to repeat."""
    session.execute(_END, {"rows": _rows(departures)})


def end_all_sessions(session: Session, link_id: str) -> None:
    """Write that this process of the link ends, with all its sessions."""
    session.execute(_END_ALL, {"link": link_id})


@dataclass(frozen=True, slots=True)
class HeldSession:
    """A session that is this link's by its row."""

    process_id: str
    session_id: str
    connected: bool  #: by the row
    settled: bool  #: it began so long ago that its process has its welcome, or has gone


def my_sessions(session: Session, link_id: str) -> dict[str, HeldSession]:
    """The sessions that are this link's by their rows, by id."""
    return {
        row.session_id: HeldSession(**row) for row in session.execute(_MINE, {"link": link_id}).mappings()
    }


def revive_sessions(session: Session, link_id: str, session_ids: Collection[str]) -> None:
    """Write that sessions are connected which another link has ended, because this one could not write for a while."""
    session.execute(_REVIVE, {"link": link_id, "sessions": list(session_ids)})


def deleted_chargers(session: Session, charger_ids: Collection[str]) -> set[str]:
    """Those of the chargers that were deleted, with or without a row that remains."""
    return set(session.scalars(_DELETED, {"chargers": list(charger_ids)}))


def end_dead_links(session: Session) -> None:
    """Write that the sessions of dead links have ended. Safe to repeat, also concurrently."""
    session.execute(_END_DEAD)


def prune_sessions(session: Session) -> None:
    """Delete the rows of links and sessions that ended long ago. Safe to repeat."""
    for statement in _PRUNE:
        session.execute(statement)


def _rows(items: Sequence[Arrival | ArrivedCharger | Departure]) -> str:
    return orjson.dumps([asdict(item) for item in items]).decode()


_HEARTBEAT = text("""
INSERT INTO control_links (id, seen_at) VALUES (:link, clock_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at
""")
_TAKE = text(f"""
INSERT INTO control_sessions AS held (process_id, session_id, boot_id, link_id, version, connected_at)
SELECT process_id, session_id, boot_id, :link, version, clock_timestamp()
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS arrival (process_id text, session_id text, boot_id text, version text)
ORDER BY process_id
ON CONFLICT (process_id) DO UPDATE SET
    session_id = excluded.session_id, boot_id = excluded.boot_id, link_id = excluded.link_id,
    version = excluded.version, connected_at = excluded.connected_at, disconnected_at = NULL
WHERE held.boot_id = excluded.boot_id OR held.disconnected_at IS NOT NULL OR NOT EXISTS (
    SELECT FROM control_links WHERE id = held.link_id AND seen_at > now() - {_TIMEOUT}
)
RETURNING process_id
""")  # noqa: S608 - our own words
_ADOPT = text("""
INSERT INTO charger_reports AS report (charger_id, process_id, boot_id, spec_revision)
SELECT chargers.id, arrived.process_id, arrived.boot_id, arrived.spec_revision
FROM jsonb_to_recordset(CAST(:rows AS jsonb))
    AS arrived (charger_id text, process_id text, session_id text, boot_id text, spec_revision bigint)
JOIN chargers ON chargers.id = arrived.charger_id AND chargers.deleted_at IS NULL
JOIN control_sessions held ON held.process_id = arrived.process_id AND held.session_id = arrived.session_id
LEFT JOIN host_chargers placed ON placed.charger_id = arrived.charger_id
WHERE placed.host_id IS NOT DISTINCT FROM NULLIF(arrived.process_id, arrived.charger_id) AND (
    NOT :started OR placed.running AND placed.boot_id = arrived.boot_id AND NOT EXISTS (
        SELECT FROM charger_reports known
        WHERE known.charger_id = arrived.charger_id AND known.process_id = arrived.process_id
            AND known.boot_id = arrived.boot_id
    )
)
ORDER BY chargers.id
ON CONFLICT (charger_id) DO UPDATE SET
    process_id = excluded.process_id, boot_id = excluded.boot_id, spec_revision = excluded.spec_revision,
    csms = CASE WHEN report.boot_id = excluded.boot_id THEN report.csms END,
    connectors = CASE WHEN report.boot_id = excluded.boot_id THEN report.connectors ELSE '[]' END,
    remark = CASE WHEN report.boot_id = excluded.boot_id THEN report.remark END,
    spec_error = CASE WHEN report.boot_id = excluded.boot_id THEN report.spec_error END,
    reported_at = CASE WHEN report.boot_id = excluded.boot_id THEN report.reported_at END
RETURNING charger_id
""")
_END = text("""
UPDATE control_sessions held SET disconnected_at = clock_timestamp()
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS ended (process_id text, session_id text)
WHERE held.process_id = ended.process_id AND held.session_id = ended.session_id AND held.disconnected_at IS NULL
""")
_END_ALL = text("""
WITH gone AS (DELETE FROM control_links WHERE id = :link)
UPDATE control_sessions SET disconnected_at = clock_timestamp()
WHERE link_id = :link AND disconnected_at IS NULL
""")
_MINE = text("""
SELECT
    process_id, session_id, disconnected_at IS NULL AS connected, connected_at < now() - interval '60 s' AS settled
FROM control_sessions
WHERE link_id = :link AND (disconnected_at IS NULL OR disconnected_at > now() - interval '1 h')
""")
_REVIVE = text("""
UPDATE control_sessions SET disconnected_at = NULL
WHERE link_id = :link AND session_id = ANY(:sessions) AND disconnected_at IS NOT NULL
""")
_DELETED = text("""
SELECT id FROM unnest(CAST(:chargers AS text[])) AS mine (id)
WHERE NOT EXISTS (SELECT FROM chargers WHERE chargers.id = mine.id AND deleted_at IS NULL)
""")
_END_DEAD = text(f"""
WITH ended AS (
    SELECT process_id FROM control_sessions held
    WHERE disconnected_at IS NULL AND NOT EXISTS (
        SELECT FROM control_links WHERE id = held.link_id AND seen_at > now() - {_TIMEOUT}
    )
    ORDER BY process_id LIMIT 5000 FOR UPDATE SKIP LOCKED
)
UPDATE control_sessions held SET disconnected_at = now()
FROM ended WHERE ended.process_id = held.process_id
""")  # noqa: S608 - our own words
_PRUNE = (
    text("DELETE FROM control_links WHERE seen_at < now() - interval '1 d'"),
    text("DELETE FROM control_sessions WHERE disconnected_at < now() - interval '7 d'"),
)
