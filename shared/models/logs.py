"""The lines of the chargers' logs, the quota on frames, and how far the log group has been read."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Index, func, text
from sqlalchemy.dialects.postgresql import INT4MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class ChargerLog(Base):
    """One OCPP frame that a charger sent or received. Partitioned by day of `timestamp`."""

    __tablename__ = "charger_logs"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(
        primary_key=True
    )  #: CloudWatch's id, so a line read twice is one row
    direction: Mapped[str]
    action: Mapped[str]
    message: Mapped[str | None]

    __table_args__ = ({"postgresql_partition_by": "RANGE (timestamp)"},)


class ChargerLogLine(Base):
    """A line of a charger's log that is no frame. Partitioned by day of `timestamp`."""

    __tablename__ = "charger_log_lines"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)  #: CloudWatch's id, as that of a frame
    kind: Mapped[str]  #: LogKind.REMARK or LogKind.CONNECTION
    level: Mapped[str | None]  #: of a remark, a RemarkLevel
    state: Mapped[str | None]  #: of a connection event, an OcppState
    reason: Mapped[str | None]  #: of a connection event, a word of docs/ocpp.md
    message: Mapped[str | None]

    __table_args__ = ({"postgresql_partition_by": "RANGE (timestamp)"},)


class LogVolume(Base):
    """The bytes of an organization's stored frames of one day (UTC)."""

    __tablename__ = "log_volumes"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class LogCut(Base):
    """A charger that lost frames of one day (UTC) to the quota."""

    __tablename__ = "log_cuts"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)


class LogNumber(Base):
    """The numbers of the lines that were read of one start of a shared charger."""

    __tablename__ = "log_numbers"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    boot_id: Mapped[str] = mapped_column(primary_key=True)
    seen: Mapped[Any] = mapped_column(INT4MULTIRANGE)
    missing: Mapped[int] = mapped_column(server_default="0")  #: lost, beside the gaps in `seen`
    reported: Mapped[int] = mapped_column(server_default="0")  #: lost lines that remarks have reported
    gaps_at: Mapped[datetime | None]  #: there are lost lines, since then, that no remark has reported
    read_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (
        Index("log_numbers_gaps", "gaps_at", postgresql_where=text("gaps_at IS NOT NULL")),
        Index("log_numbers_read", "read_at"),
    )


class LogCursor(Base):
    """How far the fleet's log group has been read."""

    __tablename__ = "log_cursors"

    log_group: Mapped[str] = mapped_column(primary_key=True)
    read_until_ms: Mapped[int] = mapped_column(BigInteger)  #: Unix ms; by the last complete pass
    unfinished: Mapped[dict[str, Any] | None]  #: the running pass: worker.logs.cursor.Pass
    read_through: Mapped[datetime | None]  #: all lines up to then have been read; null for the slow pass
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())
