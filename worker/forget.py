"""Delete what nobody needs any more."""

from datetime import timedelta

from sqlalchemy import Delete, delete, func, select, tuple_

from shared.database import Sessions
from shared.models import ChargerEvent, FleetSpec, IdempotencyKey

KEYS_KEPT_FOR = timedelta(hours=24)
SPECS_KEPT_FOR = timedelta(days=1)
BATCH = 10_000  # rows in one statement, far below its time-out


def forget_keys(sessions: Sessions) -> int:
    """Delete the Idempotency-Keys whose time is over. Returns how many."""
    columns = (IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key)
    old = select(*columns).where(IdempotencyKey.created_at < func.now() - KEYS_KEPT_FOR)
    return _forget(sessions, delete(IdempotencyKey).where(tuple_(*columns).in_(old.limit(BATCH))))


def forget_events(sessions: Sessions, retention_days: int) -> int:
    """Delete the events that are older than the retention. Returns how many."""
    columns = (ChargerEvent.charger_id, ChargerEvent.id)
    old = select(*columns).where(ChargerEvent.at < func.now() - timedelta(days=retention_days))
    return _forget(sessions, delete(ChargerEvent).where(tuple_(*columns).in_(old.limit(BATCH))))


def forget_specs(sessions: Sessions) -> int:
    """Delete the specs that no worker has had for long: one that comes back comes anew. Returns how many."""
    old = delete(FleetSpec).where(FleetSpec.seen_at < func.now() - SPECS_KEPT_FOR)
    with sessions.begin() as session:
        return session.connection().execute(old).rowcount


def _forget(sessions: Sessions, some: Delete) -> int:
    """Repeat the deletion of a batch until there is none left."""
    forgotten = 0
    while True:
        with sessions.begin() as session:
            batch = session.connection().execute(some).rowcount
        forgotten += batch
        if batch < BATCH:
            return forgotten
