"""Delete what nobody needs any more."""

from datetime import timedelta

from sqlalchemy import delete, func, select, tuple_

from shared.database import Sessions
from shared.models import IdempotencyKey

KEYS_KEPT_FOR = timedelta(hours=24)
BATCH = 10_000  # rows in one statement, far below its time-out


def forget_keys(sessions: Sessions) -> int:
    """Delete the Idempotency-Keys whose time is over. Returns how many."""
    key = tuple_(IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key)
    old = (
        select(IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key)
        .where(IdempotencyKey.created_at < func.now() - KEYS_KEPT_FOR)
        .limit(BATCH)
    )
    forgotten = 0
    while True:
        with sessions.begin() as session:
            some = len(
                session.scalars(
                    delete(IdempotencyKey).where(key.in_(old)).returning(IdempotencyKey.key)
                ).all()
            )
        forgotten += some
        if some < BATCH:
            return forgotten
