"""Hosts, whose task runs many chargers, and which charger is on which host."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, Double, ForeignKey, Index, SmallInteger, func, text
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import CODES, Base


class Host(Base):
    """A process that runs shared chargers of one organization: one row, one ECS service.

    Workers write the row; the control link writes what the process says of itself.
    """

    __tablename__ = "hosts"

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    capacity: Mapped[int]  #: chargers that it may have
    chargers: Mapped[int] = mapped_column(server_default="0")  #: that it has, running or not
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Desired.
    draining_at: Mapped[datetime | None]  #: it gets no further charger since, and its chargers move away
    empty_since: Mapped[datetime | None] = mapped_column(server_default=func.now())
    deleted_at: Mapped[datetime | None]  #: a worker removes its service since

    # Applied to ECS, and observed there.
    task_definition_arn: Mapped[str | None]
    spec_hash: Mapped[str | None]  #: of the hosts' spec in its task definition
    service_status: Mapped[str | None]  #: ACTIVE, DRAINING or INACTIVE
    running_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    pending_count: Mapped[int] = mapped_column(SmallInteger, server_default="0")
    running_task_arn: Mapped[str | None]
    observed_at: Mapped[datetime | None]
    reason: Mapped[str | None]  #: why it does not run, as a sentence
    reason_code: Mapped[str | None]  #: the same as a code of docs/errors.md
    attempts: Mapped[int] = mapped_column(server_default="0")  #: failed ones since the last success
    not_before: Mapped[datetime | None]  #: no worker calls ECS for it before
    converge_at: Mapped[datetime] = mapped_column(
        server_default=func.now()
    )  #: a worker looks at it from then on

    # What its process says.
    boot_id: Mapped[str | None]
    version: Mapped[str | None]  #: of the simulator
    max_chargers: Mapped[int | None]  #: that the process has room for
    running: Mapped[int | None]
    connected: Mapped[int | None]  #: of those, to their CSMS
    lag_ms: Mapped[float | None] = mapped_column(Double)  #: how late its timers are, p99
    memory_bytes: Mapped[int | None] = mapped_column(BigInteger)
    memory_limit_bytes: Mapped[int | None] = mapped_column(BigInteger)  #: None: the process knows of none
    cpu_percent: Mapped[float | None] = mapped_column(Double)  #: of one core
    lines_dropped: Mapped[int | None] = mapped_column(BigInteger)  #: of its log, since it started
    reported_at: Mapped[datetime | None]

    __table_args__ = (
        Index("hosts_organization", "organization_id", "id"),
        Index("hosts_converge", "converge_at"),
        CheckConstraint("chargers BETWEEN 0 AND capacity", name="hosts_capacity"),
        CheckConstraint(f"reason_code IN ({CODES})", name="hosts_reason_code"),
    )


class HostCharger(Base):
    """A shared charger on its host. Workers write what shall be, the control link what the host said."""

    __tablename__ = "host_chargers"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    host_id: Mapped[str] = mapped_column(ForeignKey("hosts.id"))

    # Desired.
    generation: Mapped[int]  #: of the charger
    desired_count: Mapped[int] = mapped_column(SmallInteger)  #: 1 is on, 0 is off
    restart_generation: Mapped[int]
    leaving: Mapped[bool] = mapped_column(
        server_default=text("false")
    )  #: it ends, and does not start here again
    decided_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Observed.
    seen_generation: Mapped[int] = mapped_column(
        server_default="0"
    )  #: the newest that the host has dealt with
    running: Mapped[bool] = mapped_column(server_default=text("false"))
    boot_id: Mapped[str | None]  #: of the charger's newest start
    host_boot_id: Mapped[str | None]  #: of the process that said so
    fault: Mapped[str | None]  #: why it does not run although it should
    seen_at: Mapped[datetime | None]
    noted: Mapped[bool] = mapped_column(
        server_default=text("true")
    )  #: the charger's row has what the host said

    __table_args__ = (
        Index("host_chargers_host", "host_id"),
        Index("host_chargers_unseen", "host_id", postgresql_where=text("seen_generation < generation")),
        Index("host_chargers_unnoted", "seen_at", postgresql_where=text("NOT noted")),
        CheckConstraint("desired_count IN (0, 1)", name="host_chargers_desired_count"),
    )
