"""The link's side of hosts: which chargers they have, what is desired of those, and what hosts say."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from link.rows.sessions import ArrivedCharger, adopt_chargers


@dataclass(frozen=True, slots=True)
class HostArrival:
    """A host that has said hello and has its session."""

    host_id: str
    session_id: str
    boot_id: str
    version: str
    max_chargers: int | None


@dataclass(frozen=True, slots=True)
class Desired:
    """What a worker has decided for a charger of a connected host."""

    charger_id: str
    session_id: str  #: of the host
    generation: int
    desired_count: int
    restart_generation: int
    leaves: bool  #: it ends, and does not start there again

    @property
    def starts(self) -> bool:
        return self.desired_count == 1 and not self.leaves


@dataclass(frozen=True, slots=True)
class Observation:
    """What a host said of one of its chargers."""

    charger_id: str
    host_id: str
    session_id: str
    host_boot_id: str
    generation: int
    running: bool
    boot_id: str | None
    fault: str | None

    def followed_by(self, newer: "Observation") -> "Observation":
        """The one that counts: within a session the one of the newer generation."""
        is_older = newer.session_id == self.session_id and newer.generation < self.generation
        return self if is_older else newer


@dataclass(frozen=True, slots=True)
class SaidOfHost:
    """What a host said of itself."""

    host_id: str
    session_id: str
    max_chargers: int
    running: int
    connected: int
    lag_ms: float
    memory_bytes: int
    memory_limit_bytes: int | None
    cpu_percent: float
    lines_dropped: int


def take_hosts(
    session: Session, arrivals: Sequence[HostArrival], named: Iterable[tuple[str, str]]
) -> dict[str, dict[str, int]]:
    """Write which process each host has now. Safe to repeat.

    `named` has a pair of host and charger for each charger that runs: what ran in the host before does not run any more.
    Returns, for each host that exists, the generations that were decided for its chargers.
    """
    rows = orjson.dumps([asdict(each) for each in arrivals]).decode()
    running = orjson.dumps([{"host_id": host, "charger_id": charger} for host, charger in named]).decode()
    given = {"rows": rows, "running": running}
    session.execute(_RELEASE_UNNAMED, given)  # locks chargers, as workers do before their hosts
    taken: dict[str, dict[str, int]] = {host_id: {} for host_id in session.scalars(_TAKE, given)}
    session.execute(_END_UNNAMED, given)
    for row in session.execute(_PLACED, {"hosts": list(taken)}):
        taken[row.host_id][row.charger_id] = row.generation
    return taken


def desired_of_host(
    session: Session, host_id: str, session_id: str, *, after: str, at_most: int
) -> list[Desired]:
    """What is desired of the host's chargers, in the order of their ids, from the first one after `after`.

    Empty when the session is not the host's newest.
    """
    given = {"host": host_id, "session": session_id, "after": after, "limit": at_most}
    return [Desired(**row) for row in session.execute(_PAGE, given).mappings()]


def unseen_desired(
    session: Session, session_ids: Collection[str], *, sent: Mapping[str, int], at_most: int
) -> list[Desired]:
    """What the hosts of these sessions have not dealt with, except for the generations that were `sent` by charger."""
    given = {
        "sessions": list(session_ids),
        "chargers": list(sent),
        "generations": list(sent.values()),
        "limit": at_most,
    }
    return [Desired(**row) for row in session.execute(_UNSEEN, given).mappings()]


def write_observations(session: Session, observations: Sequence[Observation]) -> None:
    """Write what hosts said of chargers that the rows give them, if it was said in the host's newest session.

    An older generation changes nothing. Chargers that run are the process's from then on, others are nobody's. Safe to repeat.
    """
    rows = orjson.dumps([asdict(each) for each in observations]).decode()
    session.execute(_OBSERVE, {"rows": rows})
    started = [
        ArrivedCharger(each.charger_id, each.host_id, each.session_id, each.boot_id, None)
        for each in observations
        if each.running and each.boot_id is not None
    ]
    if started:
        adopt_chargers(session, started, started=True)
    if len(started) < len(observations):
        session.execute(_RELEASE, {"rows": rows})


def write_host_reports(session: Session, reports: Sequence[SaidOfHost]) -> None:
    """Write what hosts said of themselves, if it was said in their newest session. Safe to repeat."""
    session.execute(_REPORT, {"rows": orjson.dumps([asdict(each) for each in reports]).decode()})


def deleted_hosts(session: Session, host_ids: Collection[str]) -> set[str]:
    """Those of the hosts that were deleted, with or without a row that remains."""
    return set(session.scalars(_DELETED, {"hosts": list(host_ids)}))


def not_placed(session: Session, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those pairs of a host and a charger where the rows do not give the host the charger."""
    hosts, chargers = [host_id for host_id, _ in pairs], [charger_id for _, charger_id in pairs]
    rows = session.execute(_NOT_PLACED, {"hosts": hosts, "chargers": chargers})
    return {(row.host_id, row.charger_id) for row in rows}


_ARRIVED = """
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS arrived (
    host_id text, session_id text, boot_id text, version text, max_chargers integer
)
JOIN control_sessions held ON held.process_id = arrived.host_id AND held.session_id = arrived.session_id
"""
_UNNAMED = """NOT EXISTS (
    SELECT FROM jsonb_to_recordset(CAST(:running AS jsonb)) AS named (host_id text, charger_id text)
    WHERE named.host_id = arrived.host_id AND named.charger_id = {charger_id}
)"""
_TAKE = text(f"""
WITH arrived AS MATERIALIZED (
    SELECT arrived.*
    {_ARRIVED}
    JOIN hosts ON hosts.id = arrived.host_id AND hosts.deleted_at IS NULL
    ORDER BY hosts.id FOR NO KEY UPDATE OF hosts
)
UPDATE hosts SET
    boot_id = arrived.boot_id, version = arrived.version,
    max_chargers = coalesce(arrived.max_chargers, hosts.max_chargers)
FROM arrived
WHERE hosts.id = arrived.host_id AND hosts.deleted_at IS NULL
RETURNING hosts.id
""")  # noqa: S608 - our own words
_END_UNNAMED = text(f"""
WITH ended AS MATERIALIZED (
    SELECT placed.charger_id, placed.host_id, arrived.boot_id
    {_ARRIVED}
    JOIN host_chargers placed ON placed.host_id = arrived.host_id
    WHERE placed.running AND {_UNNAMED.format(charger_id="placed.charger_id")}
    ORDER BY placed.charger_id FOR NO KEY UPDATE OF placed
)
UPDATE host_chargers placed SET
    running = false, host_boot_id = ended.boot_id, seen_at = clock_timestamp(), noted = false
FROM ended WHERE placed.charger_id = ended.charger_id AND placed.host_id = ended.host_id
""")  # noqa: S608 - our own words
_RELEASE_UNNAMED = text(f"""
WITH ended AS MATERIALIZED (
    SELECT report.charger_id
    {_ARRIVED}
    JOIN charger_reports report ON report.process_id = arrived.host_id
    WHERE {_UNNAMED.format(charger_id="report.charger_id")}
    ORDER BY report.charger_id FOR NO KEY UPDATE OF report
)
UPDATE charger_reports report SET process_id = NULL FROM ended WHERE report.charger_id = ended.charger_id
""")  # noqa: S608 - our own words
_PLACED = text("SELECT host_id, charger_id, generation FROM host_chargers WHERE host_id = ANY(:hosts)")
_DESIRED = """
SELECT
    placed.charger_id, held.session_id, placed.generation, placed.desired_count, placed.restart_generation,
    leaving AS leaves
FROM host_chargers placed
JOIN control_sessions held ON held.process_id = placed.host_id
"""
_PAGE = text(f"""
{_DESIRED}
WHERE placed.host_id = :host AND held.session_id = :session AND placed.charger_id > :after
ORDER BY placed.charger_id LIMIT :limit
""")
_UNSEEN = text(f"""
{_DESIRED}
WHERE placed.seen_generation < placed.generation AND held.session_id = ANY(:sessions) AND NOT EXISTS (
    SELECT FROM unnest(CAST(:chargers AS text[]), CAST(:generations AS integer[])) AS sent (charger_id, generation)
    WHERE sent.charger_id = placed.charger_id AND sent.generation >= placed.generation
)
ORDER BY placed.decided_at, placed.charger_id LIMIT :limit
""")
_SAID = """
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS said (
    charger_id text, host_id text, session_id text, host_boot_id text, generation integer, running boolean, boot_id text,
    fault text
)
JOIN control_sessions held ON held.process_id = said.host_id AND held.session_id = said.session_id
"""
_RELEASE = text(f"""
WITH ended AS MATERIALIZED (
    SELECT report.charger_id
    {_SAID}
    JOIN charger_reports report ON report.charger_id = said.charger_id AND report.process_id = said.host_id
    LEFT JOIN host_chargers placed ON placed.charger_id = said.charger_id AND placed.host_id = said.host_id
    WHERE placed.running IS NOT TRUE
    ORDER BY report.charger_id FOR NO KEY UPDATE OF report
)
UPDATE charger_reports report SET process_id = NULL FROM ended WHERE report.charger_id = ended.charger_id
""")  # noqa: S608 - our own words
_OBSERVE = text(f"""
WITH mine AS MATERIALIZED (
    SELECT said.*
    {_SAID}
    JOIN host_chargers placed ON placed.charger_id = said.charger_id AND placed.host_id = said.host_id
    ORDER BY placed.charger_id FOR NO KEY UPDATE OF placed
)
UPDATE host_chargers placed SET
    seen_generation = mine.generation, running = mine.running, boot_id = coalesce(mine.boot_id, placed.boot_id),
    host_boot_id = mine.host_boot_id, fault = mine.fault, seen_at = clock_timestamp(), noted = false
FROM mine
WHERE placed.charger_id = mine.charger_id AND placed.host_id = mine.host_id
    AND mine.generation BETWEEN placed.seen_generation AND placed.generation
    AND (placed.seen_generation, placed.running, placed.boot_id, placed.host_boot_id, placed.fault) IS DISTINCT FROM
        (mine.generation, mine.running, coalesce(mine.boot_id, placed.boot_id), mine.host_boot_id, mine.fault)
""")  # noqa: S608 - our own words
_REPORT = text("""
WITH said AS MATERIALIZED (
    SELECT said.* FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS said (
        host_id text, session_id text, max_chargers integer, running integer, connected integer,
        lag_ms double precision, memory_bytes bigint, memory_limit_bytes bigint, cpu_percent double precision,
        lines_dropped bigint
    )
    JOIN control_sessions held ON held.process_id = said.host_id AND held.session_id = said.session_id
    JOIN hosts ON hosts.id = said.host_id
    ORDER BY hosts.id FOR NO KEY UPDATE OF hosts
)
UPDATE hosts SET
    max_chargers = said.max_chargers, running = said.running, connected = said.connected, lag_ms = said.lag_ms,
    memory_bytes = said.memory_bytes, memory_limit_bytes = said.memory_limit_bytes, cpu_percent = said.cpu_percent,
    lines_dropped = said.lines_dropped,
    reported_at = clock_timestamp()
FROM said WHERE hosts.id = said.host_id
""")
_DELETED = text("""
SELECT id FROM unnest(CAST(:hosts AS text[])) AS mine (id)
WHERE NOT EXISTS (SELECT FROM hosts WHERE hosts.id = mine.id AND deleted_at IS NULL)
""")
_NOT_PLACED = text("""
SELECT host_id, charger_id FROM unnest(CAST(:hosts AS text[]), CAST(:chargers AS text[])) AS mine (host_id, charger_id)
WHERE NOT EXISTS (
    SELECT FROM host_chargers placed WHERE placed.charger_id = mine.charger_id AND placed.host_id = mine.host_id
)
""")
