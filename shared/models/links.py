"""The connections of chargers to their CSMSs, as their logs report them."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, false, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Views


class ChargerLink(Base):
    """A charger's link to its CSMS according to one ECS task's log. Only the log reader writes it."""

    __tablename__ = "charger_links"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)  #: "" for a line from before tasks were recorded
    #: For a row without a task: it applies to the running task while this is the charger's generation.
    task_generation: Mapped[int | None]
    state: Mapped[str | None]  #: an OcppState; null while only frames were read
    reason: Mapped[str | None]
    since: Mapped[datetime | None]  #: by the clock of the task's host, as is `last_frame_at`
    last_frame_at: Mapped[datetime | None]
    first_read_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    noted: Mapped[bool] = mapped_column(
        server_default=false()
    )  #: already derived into `chargers` for lists and events

    __table_args__ = (Index("charger_links_to_note", "charger_id", postgresql_where=text("NOT noted")),)


class LoggedLink(Views):
    """A charger's link to its CSMS according to its logs: its task's log, combined with whether that task runs."""

    __tablename__ = "logged_links"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str | None]
    task_id: Mapped[str | None]  #: the ECS task that reported the state
    task_generation: Mapped[int | None]


class ShownLink(Views):
    """A charger's link to its CSMS as clients see it: what it reports over the control link, or else what its logs say."""

    __tablename__ = "shown_links"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str | None]
    reason: Mapped[str | None]
    since: Mapped[datetime | None]
    last_frame_at: Mapped[datetime | None]
    task_id: Mapped[str | None]  #: the ECS task whose log was read last
    task_generation: Mapped[int | None]
    log_lag_s: Mapped[float | None]  #: how far behind now the log reader is; null before its first run
    reported: Mapped[
        bool
    ]  #: the state is the charger's own report, which comes within a second, not its logs'
