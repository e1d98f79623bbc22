"""Idempotency keys: a request that is sent again with its key changes nothing and returns the first receipt.

The key's row is written in the transaction that records the command, so either both exist or neither does.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from sqlalchemy import delete, func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import IdempotencyKey

Receipt = TypeVar("Receipt")
Stored = Mapping[str, Any]  #: a receipt as plain JSON

RETENTION = timedelta(hours=24)


class KeyReused(Exception):
    """The key belongs to a request with another body."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request with an Idempotency-Key: what identifies its repeats."""

    organization_id: str
    route: str
    key: str
    body_digests: tuple[bytes, ...]  #: the first is stored, and a repeat may have any


def claim(session: Session, attempt: Attempt, replay: Callable[[Stored], Receipt]) -> Receipt | None:
    """What `replay` makes of the receipt of the first request with this key; None when this request is the first.

    The first request then calls `store_receipt` or `release` in the same transaction. Waits for another request with the same key
    that is in progress. Raises KeyReused.
    """
    statement = insert(IdempotencyKey).values(
        organization_id=attempt.organization_id,
        route=attempt.route,
        key=attempt.key,
        body_hash=attempt.body_digests[0],
    )
    claimed = session.execute(
        statement.on_conflict_do_update(
            index_elements=[IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key],
            set_={"body_hash": statement.excluded.body_hash, "created_at": func.now()},
            where=IdempotencyKey.created_at < func.now() - RETENTION,
        ).returning(IdempotencyKey.key)
    ).one_or_none()
    if claimed is not None:
        return None
    stored = session.get_one(IdempotencyKey, (attempt.organization_id, attempt.route, attempt.key))
    if stored.body_hash not in attempt.body_digests:
        raise KeyReused
    # A version before 0017 stored the answer instead. One of the two is there: that transaction has ended.
    return replay(stored.receipt or stored.body or {})


def release(session: Session, attempt: Attempt) -> None:
    """Give up a key that this transaction has claimed: its request is answered with an error and may be sent again."""
    session.execute(
        delete(IdempotencyKey).where(
            IdempotencyKey.organization_id == attempt.organization_id,
            IdempotencyKey.route == attempt.route,
            IdempotencyKey.key == attempt.key,
        )
    )


def store_receipt(
    session: Session,
    attempt: Attempt,
    receipt: Stored,
    *,
    location: str | None = None,
    body: dict[str, Any] | None = None,
) -> None:
    """Store the receipt for the repeats of the request that claimed the key.

    `location` and `body` are of the answer that API processes of the previous version, which cannot read receipts,
    give to a repeat during a rolling deployment. The next release drops them.
    """
    session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.organization_id == attempt.organization_id,
            IdempotencyKey.route == attempt.route,
            IdempotencyKey.key == attempt.key,
        )
        .values(receipt=receipt, status=202, headers={"Location": location}, body=body)
    )
