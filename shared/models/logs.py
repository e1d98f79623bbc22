"""OCPP frames, and how far they have been read."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, func
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ChargerLog(Base):
    """One OCPP frame that a charger sent or received. Partitioned by day of `timestamp`."""

    __tablename__ = "charger_logs"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)  #: CloudWatch's, so a line read twice is one row
    direction: Mapped[str]
    action: Mapped[str]
    message: Mapped[str | None]

    __table_args__ = ({"postgresql_partition_by": "RANGE (timestamp)"},)


class LogVolume(Base):
    """How many bytes of an organization's frames of one day (UTC) are stored."""

    __tablename__ = "log_volumes"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class LogCut(Base):
    """A charger some of whose frames of one day (UTC) the quota did not keep."""

    __tablename__ = "log_cuts"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)


class LogCursor(Base):
    """How far the fleet's log group has been read."""

    __tablename__ = "log_cursors"

    log_group: Mapped[str] = mapped_column(primary_key=True)
    read_until_ms: Mapped[int] = mapped_column(BigInteger)  #: by the last pass that came to its end, Unix ms
    unfinished: Mapped[dict[str, Any] | None]  #: the pass that is under way: worker.observe.logs.Pass
    read_through: Mapped[datetime | None]  #: up to when all lines have been read; null for the slow pass
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
