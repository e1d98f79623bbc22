"""Idempotency keys: a request that is sent again with its key changes nothing and returns the first receipt.

The key's row is written in the transaction that records the command, so either both exist or neither does.
"""

from dataclasses import asdict, dataclass, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from shared.fleet.receipts import CommandReceipt
from shared.models import IdempotencyKey
from shared.vocabulary import EventType, ProvisioningStatus

RETENTION = timedelta(hours=24)


class KeyReused(Exception):
    """The key belongs to a request with another body."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request with an Idempotency-Key: what identifies its repeats."""

    organization_id: str
    route: str
    key: str
    body_hash: bytes


def claim(session: Session, attempt: Attempt) -> CommandReceipt | None:
    """The receipt of the first request with this key, marked as replayed; None when this request is the first.

    The first request then calls `store_receipt` in the same transaction. Waits for another request with the same key
    that is in progress. Raises KeyReused.
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
            where=IdempotencyKey.created_at < func.now() - RETENTION,
        ).returning(IdempotencyKey.key)
    ).one_or_none()
    if claimed is not None:
        return None
    stored = session.get_one(IdempotencyKey, (attempt.organization_id, attempt.route, attempt.key))
    if stored.body_hash != attempt.body_hash:
        raise KeyReused
    if stored.receipt is None:
        assert stored.body is not None  # noqa: S101  # the transaction that claimed it has ended
        return _receipt_of_answer(stored.body)
    # A newer version may have stored fields that this one does not know.
    known = {
        field.name: stored.receipt[field.name]
        for field in fields(CommandReceipt)
        if field.name in stored.receipt
    }
    return CommandReceipt(**{**known, "command_id": UUID(known["command_id"]), "replayed": True})


def store_receipt(
    session: Session, attempt: Attempt, receipt: CommandReceipt, *, body: dict[str, Any]
) -> None:
    """Store the receipt for the repeats of the request that claimed the key.

    `body` is the answer that API processes of the previous version, which cannot read receipts, give to a repeat
    during a rolling deployment. The next release drops it.
    """
    session.execute(
        update(IdempotencyKey)
        .where(
            IdempotencyKey.organization_id == attempt.organization_id,
            IdempotencyKey.route == attempt.route,
            IdempotencyKey.key == attempt.key,
        )
        .values(
            receipt=asdict(receipt) | {"command_id": str(receipt.command_id)},
            status=202,
            headers={"Location": body["status_url"]},
            body=body,
        )
    )


def _receipt_of_answer(body: dict[str, Any]) -> CommandReceipt:
    """The receipt for an answer that an earlier version stored. What that answer does not show is left empty."""
    payload = body.get("payload", {})
    return CommandReceipt(
        charger_id=body["charger_id"] if "charger_id" in body else body["id"],
        identity=body.get("identity", ""),
        ocpp_version=body.get("ocpp_version", ""),
        event_type=body.get("event_type", EventType.CREATE_CHARGER),
        command_id=UUID(body["command_id"]),
        generation=body["generation"],
        desired_count=payload.get("desired_count", 1),
        service_status=payload.get("status"),
        provisioning_status=body.get("status", ProvisioningStatus.READY),
        workflow_run_id=body.get("workflow_run_id", ""),
        replayed=True,
    )
