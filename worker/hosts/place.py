"""Place shared chargers: each on the fullest host of its organization that has room, or on a new one.

All placing of an organization goes one after the other. `hosts.chargers` counts the rows of `host_chargers`, and whoever adds
or removes such a row changes it in the same transaction. The statements do not depend on the number of chargers.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from shared.ids import new_host_id
from worker.hosts.decide import GIVEN_SQL, Decision, as_arrays, decide

PLACING_LOCK = 0x484F5354  # the first key of the advisory lock; the second is of the organization


class Room(NamedTuple):
    """A host that may have more chargers."""

    host_id: str
    chargers: int  #: that it has
    free: int  #: places


def place(session: Session, decisions: Sequence[Decision], capacity: int) -> set[str]:
    """Give the chargers of one organization their hosts, and write what these shall do. Opens hosts of this capacity.

    Returns the chargers for which it is written. The others have changed since they were read, are deleted, or leave their
    host. A charger that has a host keeps it. Safe to repeat, also concurrently. The chargers are locked until the end of the
    transaction.
    """
    organization_id = decisions[0].organization_id
    session.execute(select(func.pg_advisory_xact_lock(PLACING_LOCK, func.hashtext(organization_id))))
    hosts = {row.id: row.host_id for row in session.execute(_LOCK, as_arrays(decisions))}
    placed = [each for each in decisions if hosts.get(each.charger_id)]
    new = [each for each in decisions if each.charger_id in hosts and not hosts[each.charger_id]]
    done = {each.charger_id for each in new}
    if new:  # first, because hosts are locked before what is on them
        host_ids = _take_room(session, organization_id, len(new), capacity)
        session.execute(_PLACE, as_arrays(new) | {"host_ids": host_ids})
    if placed:  # by another worker, perhaps for an older generation
        standing = decide(session.connection(), placed)
        done |= {charger_id for charger_id, where in standing.items() if where.stays}
    return done


def _take_room(session: Session, organization_id: str, number: int, capacity: int) -> list[str]:
    """The host of each of so many chargers. Hosts are locked, and opened if the others have no room for all."""
    rooms = [Room(*row) for row in session.execute(_LOCK_ROOM, {"organization_id": organization_id})]
    host_ids = fill(rooms, number)
    missing = number - len(host_ids)
    if missing:
        opened = [new_host_id() for _ in range(-(-missing // capacity))]
        given = {"host_ids": opened, "organization_id": organization_id, "capacity": capacity}
        session.execute(_OPEN, given)
        host_ids += fill([Room(host_id, 0, capacity) for host_id in opened], missing)
    return host_ids


def fill(rooms: Sequence[Room], number: int) -> list[str]:
    """The host of each of so many chargers, or of as many as there is room for: the fullest host is filled first."""
    fullest_first = sorted(rooms, key=lambda room: (-room.chargers, room.host_id))
    places = [room.host_id for room in fullest_first for _ in range(min(room.free, number))]
    return places[:number]


# Without the ids once more a plan may read the whole table.
_LOCK = text(f"""
SELECT chargers.id, host_id FROM {GIVEN_SQL} JOIN chargers ON chargers.id = given.charger_id
WHERE chargers.id = ANY(CAST(:charger_ids AS text[])) AND chargers.generation = given.generation
    AND placement = 'shared' AND deleted_at IS NULL AND task_definition_arn IS NULL
ORDER BY chargers.id FOR NO KEY UPDATE OF chargers
""")  # noqa: S608 - our own words
# Of all hosts with room, so that the order of the locks does not depend on which are chosen. A host that has begun to drain
# meanwhile is left out.
_LOCK_ROOM = text("""
SELECT id, chargers, LEAST(capacity, max_chargers) - chargers FROM hosts
WHERE organization_id = :organization_id AND draining_at IS NULL AND deleted_at IS NULL
    AND chargers < LEAST(capacity, max_chargers)
ORDER BY id FOR NO KEY UPDATE
""")
# worker/maintenance/keep_hosts.py makes their services.
_OPEN = text("""
INSERT INTO hosts (id, organization_id, capacity)
SELECT id, :organization_id, :capacity FROM unnest(CAST(:host_ids AS text[])) AS opened (id)
""")
_PLACE = text("""
WITH given AS (
    SELECT * FROM unnest(
        CAST(:charger_ids AS text[]), CAST(:host_ids AS text[]), CAST(:generations AS integer[]),
        CAST(:desired_counts AS smallint[]), CAST(:restart_generations AS integer[])
    ) AS given (charger_id, host_id, generation, desired_count, restart_generation)
), placed AS (
    INSERT INTO host_chargers (charger_id, host_id, generation, desired_count, restart_generation)
    SELECT * FROM given
), counted AS (
    UPDATE hosts SET chargers = chargers + more, empty_since = NULL
    FROM (SELECT host_id, count(*) AS more FROM given GROUP BY host_id) AS filled WHERE hosts.id = filled.host_id
)
UPDATE chargers SET host_id = given.host_id FROM given WHERE chargers.id = given.charger_id
""")
