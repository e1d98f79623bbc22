"""The specs of the fleet's tasks, for rollouts."""

from datetime import datetime

from sqlalchemy import func
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class FleetSpec(Base):
    """The spec that some workers' settings give every charger's task. worker/maintenance/rollout.py picks the fleet's."""

    __tablename__ = "fleet_specs"

    hash: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(
        server_default=func.now()
    )  #: when the first worker started with it
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())  #: when a worker last reported it
    #: Paces the rollout: it has started every charger that was due by then.
    paced_at: Mapped[datetime] = mapped_column(server_default=func.now())
    paused_at: Mapped[datetime | None]  #: since when failures have paused it
