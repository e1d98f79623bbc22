"""The events that clients stream."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ChargerEvent(Base):
    """A change of a charger. A trigger writes it in the transaction of the change."""

    __tablename__ = "charger_events"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    #: Grows in commit order within one charger.
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    type: Mapped[str]  #: command, status or ocpp
    data: Mapped[dict[str, Any]]

    __table_args__ = (Index("charger_events_at", "at", postgresql_using="brin"),)
