"""Place a shared charger: on the fullest host of its organization that has room, or on a new one.

All placing of an organization goes one after the other. `hosts.chargers` counts the rows of `host_chargers`, and whoever adds
or removes such a row changes it in the same transaction.
"""

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.ids import new_host_id
from shared.models import Host, HostCharger
from worker.hosts.decide import Decision, decide

PLACING_LOCK = 0x484F5354  # the first key of the advisory lock; the second is of the organization


def place(session: Session, decision: Decision, capacity: int) -> bool:
    """Give the charger a host, and write what the host shall do. Opens a host of this capacity if none has room.

    False, and nothing is written, when the charger has changed since it was read, or is deleted. A charger that has a
    host keeps it. Safe to repeat, also concurrently.
    """
    session.execute(select(func.pg_advisory_xact_lock(PLACING_LOCK, func.hashtext(decision.organization_id))))
    charger = session.execute(_LOCK, decision._asdict()).one_or_none()
    if charger is None:
        return False
    if charger.host_id is not None:
        decide(session.connection(), decision)  # another worker placed it, perhaps for an older generation
        return True
    host_id = _take_room(session, decision.organization_id) or _open(
        session, decision.organization_id, capacity
    )
    session.add(
        HostCharger(
            charger_id=decision.charger_id,
            host_id=host_id,
            generation=decision.generation,
            desired_count=decision.desired_count,
            restart_generation=decision.restart_generation,
        )
    )
    session.execute(_PLACED, {"charger_id": decision.charger_id, "host_id": host_id})
    return True


def _take_room(session: Session, organization_id: str) -> str | None:
    """Count one charger more on a host that has room. None when there is no such host.

    A host that was chosen may begin to drain before its row is locked; then another one is chosen.
    """
    while session.scalar(_HAS_ROOM, {"organization_id": organization_id}):
        taken: str | None = session.scalar(_TAKE_ROOM, {"organization_id": organization_id})
        if taken is not None:
            return taken
    return None


def _open(session: Session, organization_id: str, capacity: int) -> str:
    """Add the row of a host with one charger. worker/maintenance/keep_hosts.py makes its service."""
    host_id = new_host_id()
    session.add(
        Host(id=host_id, organization_id=organization_id, capacity=capacity, chargers=1, empty_since=None)
    )
    session.flush()
    return host_id


_LOCK = text("""
SELECT host_id FROM chargers
WHERE id = :charger_id AND generation = :generation AND placement = 'shared' AND deleted_at IS NULL
    AND task_definition_arn IS NULL
FOR NO KEY UPDATE
""")
_WITH_ROOM = """
SELECT id FROM hosts
WHERE organization_id = :organization_id AND draining_at IS NULL AND deleted_at IS NULL
    AND chargers < LEAST(capacity, max_chargers)
ORDER BY chargers DESC, id LIMIT 1
"""
_HAS_ROOM = text(_WITH_ROOM)
# The host is a CTE, which is executed once: a plan may execute a subquery again, and it would lock a second host.
_TAKE_ROOM = text(f"""
WITH chosen AS MATERIALIZED ({_WITH_ROOM} FOR NO KEY UPDATE)
UPDATE hosts SET chargers = chargers + 1, empty_since = NULL FROM chosen WHERE hosts.id = chosen.id
RETURNING hosts.id
""")  # noqa: S608 - our own words
_PLACED = text("UPDATE chargers SET host_id = :host_id WHERE id = :charger_id")
