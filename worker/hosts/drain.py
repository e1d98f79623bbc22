"""Begin the moves of chargers from a host that drains."""

from sqlalchemy import text

from shared.database.engine import Sessions

MOVING = 100  # chargers of one host that may be on the move at the same time


def begin_moves(sessions: Sessions, host_id: str) -> int:
    """Mark chargers of the host, at most MOVING at a time: a worker then takes each off, and places it on another host.

    Returns how many were marked, which the sweep must publish. Safe to repeat, also concurrently.
    """
    with sessions.begin() as session:
        given = {"host_id": host_id}
        moving = session.scalars(_COUNT_MOVING, given).one()
        return len(session.scalars(_MARK, given | {"limit": max(0, MOVING - moving)}).all())


_COUNT_MOVING = text("""
SELECT count(*) FROM host_chargers JOIN chargers ON chargers.id = host_chargers.charger_id
WHERE host_chargers.host_id = :host_id AND (leaving OR drifted_at IS NOT NULL)
""")
_MARK = text("""
WITH chosen AS MATERIALIZED (
    SELECT chargers.id FROM host_chargers JOIN chargers ON chargers.id = host_chargers.charger_id
    WHERE host_chargers.host_id = :host_id AND NOT leaving AND drifted_at IS NULL AND deleted_at IS NULL
    ORDER BY chargers.id LIMIT :limit
    FOR NO KEY UPDATE OF chargers SKIP LOCKED
)
UPDATE chargers SET drifted_at = now(), publish_at = now(), not_before = NULL
FROM chosen WHERE chargers.id = chosen.id
RETURNING chargers.id
""")
