"""Write what a host shall do with a shared charger. The control link sends it, and writes what the host answers."""

from typing import NamedTuple

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


def decide(connection: Connection, decision: Decision) -> Standing | None:
    """Write the decision for the charger's host, unless the row has a newer one or the charger leaves. Safe to repeat.

    Returns where the charger is; None when it has no host.
    """
    row = connection.execute(_DECIDE, decision._asdict()).one_or_none()
    return None if row is None else Standing(*row)


def leave(connection: Connection, charger_id: str, generation: int) -> None:
    """Write that the charger's host shall end it for good. Safe to repeat, and without effect where it has no host.

    This is a generation of its own, so that no answer to an earlier one passes for the end.
    """
    connection.execute(_LEAVE, {"charger_id": charger_id, "generation": generation})


def host_of(session: Session, charger_id: str) -> str | None:
    """The host that the charger is on, or leaves."""
    return session.scalar(select(HostCharger.host_id).where(HostCharger.charger_id == charger_id))


_DECIDE = text("""
WITH decided AS (
    UPDATE host_chargers SET
        generation = :generation, desired_count = :desired_count, restart_generation = :restart_generation,
        decided_at = clock_timestamp()
    WHERE charger_id = :charger_id AND generation < :generation AND NOT leaving
)
SELECT host_id, leaving, draining_at IS NOT NULL FROM host_chargers JOIN hosts ON hosts.id = host_id
WHERE charger_id = :charger_id
""")
_LEAVE = text("""
UPDATE host_chargers SET
    leaving = true, desired_count = 0, generation = GREATEST(generation + 1, :generation), decided_at = clock_timestamp()
WHERE charger_id = :charger_id AND NOT leaving
""")
