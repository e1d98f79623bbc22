"""The commands of chargers."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, query_expression

from shared.models.base import CODES, Base
from shared.vocabulary import CommandStatus


class Command(Base):
    """One requested change of a charger. A 202 promises that its row is stored."""

    __tablename__ = "commands"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"))
    organization_id: Mapped[str]
    event_type: Mapped[str]
    generation: Mapped[int]
    status: Mapped[str] = mapped_column(default=CommandStatus.QUEUED)
    error: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(default=0)  #: attempts at ECS so far
    reason: Mapped[str | None]  #: why ECS has not accepted it yet, as a sentence
    held_since: Mapped[datetime | None]  #: since when the rate budget holds it back; null when it does not
    #: How long the rate budget held it back before; no deadline runs meanwhile.
    held_for: Mapped[timedelta] = mapped_column(server_default=text("interval '0'"))
    requested_by: Mapped[str]  #: `sub` of the token
    request_id: Mapped[str | None]
    job_id: Mapped[int | None] = mapped_column(
        BigInteger
    )  #: the job that recorded it; null for a single command
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    applied_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

    # Of other rows; None unless the query reads them (shared/fleet/commands.py).
    superseded_by: Mapped[UUID | None] = query_expression()  #: the next command, which replaced it
    next_attempt_at: Mapped[datetime | None] = query_expression()  #: no worker tries it before

    __table_args__ = (
        UniqueConstraint("charger_id", "generation", name="commands_generation"),
        Index(
            "commands_open",
            "charger_id",
            "generation",
            postgresql_where=text("status IN ('queued', 'applied')"),
        ),
        CheckConstraint(f"error ->> 'code' IN ({CODES})", name="commands_error_code"),
    )
