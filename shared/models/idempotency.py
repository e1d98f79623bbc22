"""Stored receipts of requests with an Idempotency-Key."""

from datetime import datetime
from typing import Any

from sqlalchemy import SmallInteger, func
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class IdempotencyKey(Base):
    """A POST's receipt, under the key that its client sent: a repeat gets the same answer."""

    __tablename__ = "idempotency_keys"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)  #: method and path
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    receipt: Mapped[dict[str, Any] | None]  #: null while the transaction that claims the key is open
    # The rendered answer, which versions before migration 0017 store and read. The next release drops these columns.
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
