"""A request that is sent again with its Idempotency-Key changes nothing and gets the first answer again.

The key's row is written in the transaction that does what was asked, so it exists when, and only when, that
is on record.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.models import IdempotencyKey

KEPT_FOR = timedelta(hours=24)


class KeyReused(Exception):
    """The key belongs to a request with another body."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request that says how its repeats can be told."""

    organization_id: str
    route: str
    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request is answered with. The body is plain JSON."""

    body: dict[str, Any]
    status: int
    headers: dict[str, str]


def claim(session: Session, attempt: Attempt) -> Answer | None:
    """The answer that was given before; None when the key is this request's, to `remember` its answer under.

    Waits for a twin that is under way. Raises KeyReused.
    """
    statement = insert(IdempotencyKey).values(
        organization_id=attempt.organization_id,
        route=attempt.route,
        key=attempt.key,
        body_hash=attempt.body_hash,
    )
    claimed = session.execute(
        statement.on_conflict_do_update(
            index_elements=[IdempotencyKey.organization_id, IdempotencyKey.route, IdempotencyKey.key],
            set_={"body_hash": statement.excluded.body_hash, "created_at": func.now()},
            where=IdempotencyKey.created_at < func.now() - KEPT_FOR,
        ).returning(IdempotencyKey.key)
    ).one_or_none()
    if claimed is not None:
        return None
    stored = session.get_one(IdempotencyKey, (attempt.organization_id, attempt.route, attempt.key))
    if stored.body_hash != attempt.body_hash:
        raise KeyReused
    assert stored.body is not None  # noqa: S101  # the transaction that claimed it has ended
    assert stored.status is not None  # noqa: S101
    return Answer(stored.body, stored.status, stored.headers or {})


def remember(session: Session, attempt: Attempt, answer: Answer) -> None:
    """Keep the answer for the repeats of the request whose key was claimed."""
    session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.organization_id == attempt.organization_id,
            IdempotencyKey.route == attempt.route,
            IdempotencyKey.key == attempt.key,
        )
        .values(status=answer.status, headers=answer.headers, body=answer.body)
    )
