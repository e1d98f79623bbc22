"""What processes of the link write: who is connected, and what chargers report. They write many rows at a time."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Views


class ControlLink(Base):
    """A process of the link."""

    __tablename__ = "control_links"

    id: Mapped[str] = mapped_column(primary_key=True)
    seen_at: Mapped[datetime]  #: it writes this every few seconds while it lives


class ControlSession(Base):
    """The newest connection of a process that runs chargers."""

    __tablename__ = "control_sessions"

    process_id: Mapped[str] = mapped_column(primary_key=True)
    session_id: Mapped[str]
    boot_id: Mapped[str]  #: of the process
    link_id: Mapped[str]  #: the process of the link that it is connected to
    version: Mapped[str | None]  #: of the simulator
    connected_at: Mapped[datetime]
    disconnected_at: Mapped[datetime | None]

    __table_args__ = (
        Index("control_sessions_link", "link_id", postgresql_where=text("disconnected_at IS NULL")),
    )


class ChargerReport(Base):
    """What a charger last said of itself."""

    __tablename__ = "charger_reports"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    process_id: Mapped[str | None]  #: the process that runs it
    boot_id: Mapped[str | None]  #: of the charger
    csms: Mapped[dict[str, Any] | None]  #: its link to its CSMS: state, reason, detail, since
    connectors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    remark: Mapped[dict[str, Any] | None]  #: its newest: level, message, at
    spec_revision: Mapped[int | None] = mapped_column(BigInteger)  #: the newest that it has
    spec_error: Mapped[str | None]  #: why it does not follow that
    reported_at: Mapped[datetime | None]

    __table_args__ = (Index("charger_reports_process", "process_id"),)


class ShownReport(Views):
    """What a charger last said of itself, and whether its process is connected."""

    __tablename__ = "shown_reports"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    connected: Mapped[bool]  #: its process has a session with a living process of the link
    current: Mapped[bool]  #: it has reported in this session; else what it said may have changed since
    connected_at: Mapped[datetime]  #: when its newest session began
    disconnected_at: Mapped[datetime | None]
    version: Mapped[str | None]  #: of the simulator
    connectors: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    remark: Mapped[dict[str, Any] | None]
    reported_at: Mapped[datetime | None]


class ChargerMemory(Base):
    """What a charger keeps over a restart."""

    __tablename__ = "charger_memories"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    boot_id: Mapped[str | None]
    memory: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]
