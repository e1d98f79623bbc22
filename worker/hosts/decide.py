"""Write what hosts shall do with shared chargers. The control link sends it, and writes what the hosts answer."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, select, text
from sqlalchemy.orm import Session

from shared.models import HostCharger


class Decision(NamedTuple):
    """What shall become of a charger, as its row says."""

    charger_id: str
    organization_id: str
    generation: int
    desired_count: int
    restart_generation: int


class Standing(NamedTuple):
    """Where a placed charger is."""

    host_id: str
    leaves: bool  #: its host ends it, and another place follows, or none
    draining: bool  #: its host gives all its chargers away

    @property
    def stays(self) -> bool:
        """Whether its host does what is decided."""
        return not self.leaves and not self.draining


def decide(connection: Connection, decisions: Sequence[Decision]) -> dict[str, Standing]:
    """Write the decisions for the chargers' hosts, where the rows have no newer one and the charger stays. Safe to repeat.

    One statement. Returns where each charger is; those without a host are left out.
    """
    rows = connection.execute(_DECIDE, as_arrays(decisions))
    return {charger_id: Standing(*standing) for charger_id, *standing in rows}


def as_arrays(decisions: Sequence[Decision]) -> dict[str, Any]:
    """The parameters for GIVEN_SQL."""
    return {
        "charger_ids": [each.charger_id for each in decisions],
        "generations": [each.generation for each in decisions],
        "desired_counts": [each.desired_count for each in decisions],
        "restart_generations": [each.restart_generation for each in decisions],
    }


def leave(connection: Connection, charger_id: str, generation: int) -> None:
    """Write that the charger's host shall end it for good. Safe to repeat, and without effect where it has no host.

    This is a generation of its own, so that no answer to an earlier one passes for the end.
    """
    connection.execute(_LEAVE, {"charger_id": charger_id, "generation": generation})


def host_of(session: Session, charger_id: str) -> str | None:
    """The host that the charger is on, or leaves."""
    return session.scalar(select(HostCharger.host_id).where(HostCharger.charger_id == charger_id))


#: Decisions as rows.
GIVEN_SQL = """
unnest(
    CAST(:charger_ids AS text[]), CAST(:generations AS integer[]), CAST(:desired_counts AS smallint[]),
    CAST(:restart_generations AS integer[])
) AS given (charger_id, generation, desired_count, restart_generation)
"""
# Locked in one order, as the link does; and what is returned is what the rows say under these locks.
_DECIDE = text(f"""
WITH placed AS MATERIALIZED (
    SELECT host_chargers.charger_id, host_id, leaving AS leaves, given.generation, given.desired_count, given.restart_generation
    FROM {GIVEN_SQL} JOIN host_chargers USING (charger_id)
    WHERE host_chargers.charger_id = ANY(CAST(:charger_ids AS text[]))
    ORDER BY charger_id FOR NO KEY UPDATE OF host_chargers
), decided AS (
    UPDATE host_chargers SET
        generation = placed.generation, desired_count = placed.desired_count,
        restart_generation = placed.restart_generation, decided_at = clock_timestamp()
    FROM placed
    WHERE host_chargers.charger_id = placed.charger_id AND host_chargers.generation < placed.generation
        AND NOT placed.leaves
)
SELECT charger_id, host_id, leaves, draining_at IS NOT NULL FROM placed JOIN hosts ON hosts.id = host_id
""")  # noqa: S608 - our own words
_LEAVE = text("""
UPDATE host_chargers SET
    leaving = true, desired_count = 0, generation = GREATEST(generation + 1, :generation), decided_at = clock_timestamp()
WHERE charger_id = :charger_id AND NOT leaving
""")
