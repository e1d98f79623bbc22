"""Delete rows after their retention, in batches: each is a transaction with a bounded number of rows.

One worker prunes at a time. Another one that starts meanwhile ends without deleting anything. All functions are safe to
repeat, and return how many rows they deleted.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from sqlalchemy import Delete, delete, exists, func, select, text, tuple_
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import (
    Action,
    Charger,
    ChargerEvent,
    FleetSpec,
    IdempotencyKey,
    Job,
    JobItem,
    Location,
    RemovedCharger,
)
from shared.vocabulary import OPEN
from worker.logs.partitions import log_partitions

KEY_RETENTION = timedelta(hours=24)  # docs/api.md promises it
SPEC_RETENTION = timedelta(days=1)  # after the last worker that had the spec
BATCH = 10_000  # rows in one statement: 0.2 s, far below its time-out
MAX_CHARGERS = 1_000  # whose commands one statement reads
MAX_REMOVED_CHARGERS = 100  # whose logs one transaction deletes
PRUNE_LOCK = 0x464F5247  # key of the advisory lock; nothing else in this database uses it


def prune_keys(sessions: Sessions) -> int:
    """Delete Idempotency-Keys older than KEY_RETENTION."""
    columns = (IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key)
    old = select(*columns).where(IdempotencyKey.created_at < func.now() - KEY_RETENTION)
    return _delete_all(sessions, delete(IdempotencyKey).where(tuple_(*columns).in_(old.limit(BATCH))))


def prune_events(sessions: Sessions, retention_days: int) -> int:
    """Delete events older than the retention."""
    columns = (ChargerEvent.charger_id, ChargerEvent.id)
    old = select(*columns).where(ChargerEvent.at < func.now() - timedelta(days=retention_days))
    return _delete_all(sessions, delete(ChargerEvent).where(tuple_(*columns).in_(old.limit(BATCH))))


def prune_actions(sessions: Sessions, retention_days: int) -> int:
    """Delete actions that ended longer ago than the retention. Open ones stay."""
    old = select(Action.id).where(Action.finished_at < func.now() - timedelta(days=retention_days))
    return _delete_all(sessions, delete(Action).where(Action.id.in_(old.limit(BATCH))))


def prune_jobs(sessions: Sessions, retention_days: int) -> int:
    """Delete jobs that ended longer ago than the retention, with their items. Returns how many rows of both."""
    old = select(Job.id).where(Job.finished_at < func.now() - timedelta(days=retention_days))
    some = select(JobItem.job_id, JobItem.position).where(JobItem.job_id.in_(old)).limit(BATCH)
    pruned = _delete_all(sessions, delete(JobItem).where(tuple_(JobItem.job_id, JobItem.position).in_(some)))
    return pruned + _delete_all(sessions, delete(Job).where(Job.id.in_(old.limit(BATCH))))


def prune_locations(sessions: Sessions, retention_days: int) -> int:
    """Delete the rows of locations that were deleted longer ago than the retention. One that a charger refers to stays."""
    key = (Location.organization_id, Location.id)
    is_used = exists().where(
        Charger.organization_id == Location.organization_id, Charger.location_id == Location.id
    )
    old = select(*key).where(Location.deleted_at < func.now() - timedelta(days=retention_days), ~is_used)
    return _delete_all(sessions, delete(Location).where(tuple_(*key).in_(old.limit(BATCH))))


def prune_specs(sessions: Sessions) -> int:
    """Delete specs that no worker has had for SPEC_RETENTION. One that comes back is rolled out as a new one."""
    old = delete(FleetSpec).where(FleetSpec.seen_at < func.now() - SPEC_RETENTION)
    with sessions.begin() as session:
        return session.connection().execute(old).rowcount


def _delete_all(sessions: Sessions, some: Delete) -> int:
    """Repeat the deletion of a batch until no row is left. Returns how many rows there were."""
    pruned, rows = 0, BATCH
    while rows == BATCH:
        with _batch(sessions) as session:
            rows = session.connection().execute(some).rowcount if session is not None else 0
        pruned += rows
    return pruned


# A charger whose oldest command stays costs one read of the index, so the hourly run over a large fleet is cheap. The
# array, and the limit per charger, leave PostgreSQL no plan that reads the whole table.
PRUNE_COMMANDS = text("""
WITH portion AS MATERIALIZED (SELECT id, generation FROM chargers WHERE id > :after ORDER BY id LIMIT :chargers),
deleted AS (
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
SELECT (SELECT max(id) FROM portion) AS last, (SELECT count(*) FROM deleted) AS pruned
""")


def prune_commands(sessions: Sessions, *, kept_days: int, kept_per_charger: int) -> int:
    """Delete final commands that ended `kept_days` ago, and those beyond a charger's newest `kept_per_charger`.

    A charger's newest command stays, and so does every open one.
    """
    pruned = 0
    after: str | None = ""  # the last charger whose commands are done
    while after is not None:
        with _batch(sessions) as session:
            if session is None:
                break
            found = session.execute(
                PRUNE_COMMANDS,
                {
                    "after": after,
                    "chargers": MAX_CHARGERS,
                    "kept_for": timedelta(days=kept_days),
                    "kept": kept_per_charger,
                    "open": [str(status) for status in OPEN],
                    "batch": BATCH,
                },
            ).one()
        pruned += found.pruned
        if found.pruned < BATCH:
            after = found.last
    return pruned


def prune_logs_of_deleted(sessions: Sessions, *, kept_days: int) -> int:
    """Delete the stored logs of chargers that were deleted `kept_days` ago, and then their rows in `removed_chargers`.

    A charger stays, with its log, until ECS was checked for what is left of it (worker/maintenance/leftovers.py).
    """
    pruned = 0
    while True:
        with _batch(sessions) as session:
            rows = _delete_logs(session, kept_days) if session is not None else None
        if rows is None:
            return pruned
        pruned += rows


def _delete_logs(session: Session, kept_days: int) -> int | None:
    """Delete up to BATCH log lines, and the chargers if these were all. Returns how many lines, None when no charger is left."""
    charger_ids = session.scalars(
        select(RemovedCharger.charger_id)
        .where(
            RemovedCharger.deleted_at <= func.now() - timedelta(days=kept_days),
            RemovedCharger.checked_at.is_not(None),
        )
        .order_by(RemovedCharger.deleted_at)
        .limit(MAX_REMOVED_CHARGERS)
    ).all()
    if not charger_ids:
        return None
    left = BATCH
    for partition in log_partitions(session):
        lines = text(
            f"DELETE FROM {partition} WHERE ctid = ANY (ARRAY ("  # noqa: S608  # a name from pg_inherits
            f"SELECT ctid FROM {partition} WHERE charger_id = ANY (:chargers) LIMIT :left))"
        )
        left -= session.connection().execute(lines, {"chargers": charger_ids, "left": left}).rowcount
        if not left:
            break
    else:
        session.execute(delete(RemovedCharger).where(RemovedCharger.charger_id.in_(charger_ids)))
    return BATCH - left


@contextmanager
def _batch(sessions: Sessions) -> Iterator[Session | None]:
    """A transaction for one batch. None while another worker prunes."""
    with sessions.begin() as session:
        is_alone = session.scalar(select(func.pg_try_advisory_xact_lock(PRUNE_LOCK)))
        yield session if is_alone else None
