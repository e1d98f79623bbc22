"""Which ECS runs the chargers of this database."""

from datetime import datetime

from sqlalchemy import CheckConstraint, func, true
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Installation(Base):
    """One row, written by the first worker that starts."""

    __tablename__ = "installation"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    services: Mapped[str]  #: in the form of shared.fleet.installation.Services
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (CheckConstraint("singleton", name="installation_singleton"),)
