"""Stored answers for requests with an Idempotency-Key."""

from datetime import datetime
from typing import Any

from sqlalchemy import SmallInteger, func
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class IdempotencyKey(Base):
    """A POST with an Idempotency-Key, and its answer: a repeat gets the same one."""

    __tablename__ = "idempotency_keys"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)  #: method and path
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    # Null only while the transaction that claims the key is open.
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON)  #: keeps the order of its keys
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
