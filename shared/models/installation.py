"""Which ECS runs the chargers."""

from datetime import datetime

from sqlalchemy import CheckConstraint, func, true
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class Installation(Base):
    """Which ECS runs the chargers of this database: one row, from the first start of a worker on."""

    __tablename__ = "installation"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    services: Mapped[str]  #: as shared.fleet.installation.Services writes them
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (CheckConstraint("singleton", name="installation_singleton"),)
