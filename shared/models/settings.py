"""The settings of a charger beyond the contract's fields."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ChargerSettings(Base):
    """The settings of one charger. Only the API writes them. No row: none was given, and nothing was changed."""

    __tablename__ = "charger_settings"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    revision: Mapped[int] = mapped_column(
        BigInteger
    )  #: +1 with each change of the specification, of `chargers` too
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'"))  #: without secrets
    sealed: Mapped[dict[str, Any]] = mapped_column(
        server_default=text("'{}'")
    )  #: each secret encrypted, by name
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (Index("charger_settings_updated", "updated_at"),)
