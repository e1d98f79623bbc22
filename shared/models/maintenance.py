"""The last runs of maintenance tasks."""

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class MaintenanceRun(Base):
    """The last run of a maintenance task, on any worker. One row per task."""

    __tablename__ = "maintenance_runs"

    task: Mapped[str] = mapped_column(primary_key=True)
    finished_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    duration_s: Mapped[float]
    failures: Mapped[int] = mapped_column(BigInteger)  #: since the first run
    error: Mapped[str | None]  #: of the last failure
