"""The specs of the fleet's tasks."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class FleetSpec(Base):
    """What workers of some settings make of every charger's task. worker/maintenance/rollout.py says which is the fleet's."""

    __tablename__ = "fleet_specs"

    hash: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(server_default=func.now())  #: when workers came to have it
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())  #: when a worker last had it
    #: The rate: the rollout may have begun with all chargers that were due by then.
    paced_at: Mapped[datetime] = mapped_column(server_default=func.now())
    paused_at: Mapped[datetime | None]  #: since when it has stopped by itself
