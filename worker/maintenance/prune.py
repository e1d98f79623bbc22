"""Delete what nobody needs any more, in batches: each is a transaction of its own and bounded in rows.

One worker does it at a time; another that begins meanwhile leaves it to the first.
"""

from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Delete, delete, func, select, text, tuple_
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import ChargerEvent, FleetSpec, IdempotencyKey, RemovedCharger
from shared.vocabulary import OPEN
from worker.logs.partitions import log_partitions

KEYS_KEPT_FOR = timedelta(hours=24)
SPECS_KEPT_FOR = timedelta(days=1)
BATCH = 10_000  # rows in one statement, far below its time-out
CHARGERS = 1_000  # whose commands one statement reads
REMOVED_CHARGERS = 100  # whose frames one transaction deletes
FORGET_LOCK = 0x464F5247  # any number that nobody else locks in this database


def prune_keys(sessions: Sessions) -> int:
    """Delete the Idempotency-Keys whose time is over. Returns how many."""
    columns = (IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key)
    old = select(*columns).where(IdempotencyKey.created_at < func.now() - KEYS_KEPT_FOR)
    return _forget(sessions, delete(IdempotencyKey).where(tuple_(*columns).in_(old.limit(BATCH))))


def prune_events(sessions: Sessions, retention_days: int) -> int:
    """Delete the events that are older than the retention. Returns how many."""
    columns = (ChargerEvent.charger_id, ChargerEvent.id)
    old = select(*columns).where(ChargerEvent.at < func.now() - timedelta(days=retention_days))
    return _forget(sessions, delete(ChargerEvent).where(tuple_(*columns).in_(old.limit(BATCH))))


def prune_specs(sessions: Sessions) -> int:
    """Delete the specs that no worker has had for long: one that comes back comes anew. Returns how many."""
    old = delete(FleetSpec).where(FleetSpec.seen_at < func.now() - SPECS_KEPT_FOR)
    with sessions.begin() as session:
        return session.connection().execute(old).rowcount


def _forget(sessions: Sessions, some: Delete) -> int:
    """Repeat the deletion of a batch until there is none left."""
    forgotten = 0

    def batch(session: Session) -> bool:
        nonlocal forgotten
        rows: int = session.connection().execute(some).rowcount
        forgotten += rows
        return rows == BATCH

    _in_batches(sessions, batch)
    return forgotten


# A charger whose oldest command stays is done with after one reading of the index: so is a large fleet each hour. (An
# array, and a limit for each charger, leave PostgreSQL no plan that reads the whole table.)
FORGET_COMMANDS = text("""
WITH portion AS MATERIALIZED (SELECT id, generation FROM chargers WHERE id > :after ORDER BY id LIMIT :chargers),
gone AS (
    DELETE FROM commands WHERE id = ANY (ARRAY (
        SELECT old.id FROM portion
        CROSS JOIN LATERAL (
            SELECT generation, finished_at FROM commands
            WHERE charger_id = portion.id ORDER BY generation LIMIT 1
        ) AS oldest
        CROSS JOIN LATERAL (
            SELECT id FROM commands
            WHERE charger_id = portion.id AND generation < portion.generation AND status <> ALL (:open)
            AND (finished_at < now() - :kept_for OR generation <= portion.generation - :kept)
            ORDER BY generation LIMIT :batch
        ) AS old
        WHERE oldest.finished_at < now() - :kept_for OR oldest.generation <= portion.generation - :kept
        LIMIT :batch
    )) RETURNING id
)
SELECT (SELECT max(id) FROM portion) AS last, (SELECT count(*) FROM gone) AS forgotten
""")


def prune_commands(sessions: Sessions, *, kept_days: int, kept_per_charger: int) -> int:
    """Delete final commands that ended long ago, and those beyond a charger's newest so many. Returns how many.

    A charger's newest command stays, and so does every open one.
    """
    forgotten, after = 0, ""

    def batch(session: Session) -> bool:
        nonlocal forgotten, after
        found = session.execute(
            FORGET_COMMANDS,
            {
                "after": after,
                "chargers": CHARGERS,
                "kept_for": timedelta(days=kept_days),
                "kept": kept_per_charger,
                "open": [str(status) for status in OPEN],
                "batch": BATCH,
            },
        ).one()
        forgotten += found.forgotten
        if found.forgotten < BATCH:
            after = found.last
        return found.last is not None

    _in_batches(sessions, batch)
    return forgotten


def prune_logs_of_deleted(sessions: Sessions, *, kept_days: int) -> int:
    """Delete the frames of chargers that were deleted so long ago, and forget those chargers. Returns how many frames.

    One of which ECS may still have something is remembered, with its frames, until that is removed (worker/maintenance/leftovers.py).
    """
    forgotten = 0

    def batch(session: Session) -> bool:
        nonlocal forgotten
        of_chargers = session.scalars(
            select(RemovedCharger.charger_id)
            .where(
                RemovedCharger.deleted_at <= func.now() - timedelta(days=kept_days),
                RemovedCharger.checked_at.is_not(None),
            )
            .order_by(RemovedCharger.deleted_at)
            .limit(REMOVED_CHARGERS)
        ).all()
        if not of_chargers:
            return False
        left = BATCH
        for partition in log_partitions(session):
            frames = text(
                f"DELETE FROM {partition} WHERE ctid = ANY (ARRAY ("  # noqa: S608  # a name of ours
                f"SELECT ctid FROM {partition} WHERE charger_id = ANY (:chargers) LIMIT :left))"
            )
            left -= session.connection().execute(frames, {"chargers": of_chargers, "left": left}).rowcount
            if not left:
                break
        else:
            session.execute(delete(RemovedCharger).where(RemovedCharger.charger_id.in_(of_chargers)))
        forgotten += BATCH - left
        return True

    _in_batches(sessions, batch)
    return forgotten


def _in_batches(sessions: Sessions, batch: Callable[[Session], bool]) -> None:
    """Repeat the batch until it says that it was the last one, or until another worker is at it."""
    more = True
    while more:
        with sessions.begin() as session:
            alone = session.scalar(select(func.pg_try_advisory_xact_lock(FORGET_LOCK)))
            more = bool(alone) and batch(session)
