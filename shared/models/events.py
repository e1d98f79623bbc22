"""The events that clients stream."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ChargerEvent(Base):
    """A change of a charger. A trigger writes it in the transaction of the change.

    The last one of a charger, `removed`, remains when the charger's row is gone, and all are deleted by age.
    """

    __tablename__ = "charger_events"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    #: Grows in commit order within one charger.
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    #: Null for events from before 0024, as is `xid`.
    organization_id: Mapped[str | None]
    #: The transaction that wrote it: see shared/fleet/feed.py.
    xid: Mapped[int | None] = mapped_column(
        BigInteger, server_default=text("pg_current_xact_id()::text::bigint")
    )
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    type: Mapped[
        str
    ]  #: command, status, ocpp or action, which a charger's stream has; attempt, changed or removed
    data: Mapped[dict[str, Any]]

    __table_args__ = (
        Index("charger_events_at", "at", postgresql_using="brin"),
        Index("charger_events_organization", "organization_id", "xid", "id"),
    )
