"""How maintenance tasks ended."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class MaintenanceRun(Base):
    """How a maintenance task last ended, on whichever worker. One row for each task."""

    __tablename__ = "maintenance_runs"

    task: Mapped[str] = mapped_column(primary_key=True)
    finished_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    duration_s: Mapped[float]
    failures: Mapped[int] = mapped_column(BigInteger)  #: since the first run
    error: Mapped[str | None]  #: of the last failure
