"""The rows. Migrations make the tables; a test compares the two."""

from datetime import date, datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    FetchedValue,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    false,
    func,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSON, JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, foreign, mapped_column, relationship

from shared.error_codes import ErrorCode
from shared.vocabulary import CommandStatus, ProvisioningStatus

LIVE = text("deleted_at IS NULL")
CODES = ", ".join(f"'{code}'" for code in ErrorCode)


class Base(DeclarativeBase):
    """Text without a length is as fast as with one in PostgreSQL; bounds are the schemas' job."""

    type_annotation_map = {  # noqa: RUF012  # SQLAlchemy's own name and shape
        str: Text(),
        datetime: DateTime(timezone=True),
        dict[str, Any]: JSONB(),
        list[float]: JSONB(),
        list[str]: JSONB(),
    }


class Brand(Base):
    __tablename__ = "catalog_brands"

    slug: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str]
    image_url: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class CatalogModel(Base):
    """A charger model that one can buy."""

    __tablename__ = "catalog_models"

    brand_slug: Mapped[str] = mapped_column(ForeignKey("catalog_brands.slug"), primary_key=True)
    slug: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(unique=True)
    name: Mapped[str]
    image_url: Mapped[str | None]
    connector_count: Mapped[int] = mapped_column(SmallInteger)
    current_type: Mapped[str]  #: ac or dc
    supported_kwh: Mapped[list[float]]  #: power levels in kW, whatever the contract's name says
    connector_types: Mapped[list[str]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Charger(Base):
    """A simulated charging station: one row, one ECS service.

    The API writes what is desired, workers write what was observed.
    """

    __tablename__ = "chargers"

    id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    identity: Mapped[str]  #: what the charger calls itself to its CSMS

    name: Mapped[str | None]
    brand_slug: Mapped[str]
    model_slug: Mapped[str]
    vendor_name: Mapped[str]
    model: Mapped[str]
    image_url: Mapped[str | None]
    connector_type: Mapped[str]
    current_type: Mapped[str]
    number_of_connectors: Mapped[int] = mapped_column(SmallInteger)
    max_charging_power: Mapped[int]  #: watts
    ocpp_version: Mapped[str]
    ws_url: Mapped[str]
    location_id: Mapped[str | None]
    location_name: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Desired.
    desired_count: Mapped[int] = mapped_column(SmallInteger, default=1)  #: 1 is on, 0 is off
    generation: Mapped[int] = mapped_column(default=1)  #: +1 on every change asked for
    spec_generation: Mapped[int] = mapped_column(default=1)  #: the newest that changed what the task gets
    restart_generation: Mapped[int] = mapped_column(default=0)  #: the newest that asked for a restart
    deleted_at: Mapped[datetime | None]  #: gone for clients; a worker still removes its service
    newest_command_id: Mapped[UUID]  #: the command of `generation`
    newest_event_type: Mapped[str]

    # Provisioning.
    provisioning_status: Mapped[str] = mapped_column(default=ProvisioningStatus.PENDING)
    workflow_run_id: Mapped[str]
    step: Mapped[str | None]  #: the provisioning step that is under way, or failed
    error: Mapped[dict[str, Any] | None]
    provisioned_at: Mapped[datetime | None]

    # What ECS was told.
    observed_generation: Mapped[int] = mapped_column(default=0)  #: the newest that ECS accepted; never falls
    settled_generation: Mapped[int] = mapped_column(default=0)  #: the newest whose command is final
    task_definition_arn: Mapped[str | None]
    task_definition_generation: Mapped[int] = mapped_column(default=0)  #: spec_generation it was made for
    restart_task_arn: Mapped[str | None]  #: the task that a restart stops; null when none ran
    restart_task_generation: Mapped[int] = mapped_column(default=0)  #: restart_generation it was recorded for
    spec_hash: Mapped[str | None]  #: the fleet's spec that its task definition was made of; null if not known
    leftovers_at: Mapped[datetime | None]  #: when a task definition came to be left that nothing may use

    # Its rollout (worker/maintenance/rollout.py).
    rollout_hash: Mapped[str | None]  #: the spec that it is to get; null when it is not under way to one
    rollout_at: Mapped[datetime | None]  #: when its last rollout began, or made its task definition

    # What ECS reported.
    service_status: Mapped[str | None]  #: ACTIVE, DRAINING or INACTIVE
    running_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    pending_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    observed_at: Mapped[datetime | None] = mapped_column()
    observed_since: Mapped[datetime] = mapped_column(
        server_default=func.now()
    )  #: of its state; a trigger keeps it
    reason: Mapped[str | None]  #: why it does not run as desired, in plain words
    reason_code: Mapped[str | None]  #: the same, as a code of docs/errors.md
    drifted_at: Mapped[datetime | None]  #: ECS was found to differ with nothing in flight, or a rollout began
    running_task_arn: Mapped[str | None]  #: the ECS task that was last seen running
    running_task_generation: Mapped[int | None]  #: the generation that ECS had reached when it was seen
    running_since: Mapped[datetime | None]  #: when that task was first seen running, by the database's clock
    running_task_seen_at: Mapped[datetime | None]  #: just before ECS last named it as running
    running_task_ended_at: Mapped[datetime | None]  #: just before ECS said that nothing runs any more

    # The link to the CSMS, as lists find the charger by it. What clients see is `link`; triggers keep this one.
    link_state: Mapped[str | None] = mapped_column("ocpp_state")
    link_noted_at: Mapped[datetime | None]  #: when what its tasks' logs say was last noted there
    link: Mapped["ShownLink"] = relationship(
        lambda: ShownLink,
        primaryjoin=lambda: foreign(Charger.id) == ShownLink.charger_id,
        viewonly=True,
        lazy="raise",
    )

    # When whom to look.
    attempts: Mapped[int] = mapped_column(default=0)  #: failed tries of the newest generation
    not_before: Mapped[datetime | None]  #: no worker calls ECS for it earlier
    publish_at: Mapped[datetime | None]  #: the sweep publishes it again from then on
    observe_at: Mapped[datetime | None]  #: the observer describes it from then on

    #: The same for chargers that agree in all that a list filters by (shared/fleet/listing.py); a trigger keeps it.
    list_group: Mapped[int] = mapped_column(
        BigInteger,
        server_default=FetchedValue(),
        server_onupdate=FetchedValue(for_update=True),
        deferred=True,
    )

    #: Since it was last observed, or created, when the row was read: by the clock that wrote both.
    unobserved_for: Mapped[timedelta] = column_property(func.now() - func.coalesce(observed_at, created_at))

    @hybrid_property
    def running_task_id(self) -> str | None:
        """The last part of the ARN, which is also that of the task's log stream."""
        return self.running_task_arn and self.running_task_arn.rpartition("/")[2]

    @running_task_id.inplace.expression
    @classmethod
    def _running_task_id(cls) -> ColumnElement[str | None]:
        return func.split_part(cls.running_task_arn, "/", -1)

    __table_args__ = (
        Index(
            "chargers_identity",
            "organization_id",
            "identity",
            unique=True,
            postgresql_where=text("deleted_at IS NULL"),
        ),
        Index(
            "chargers_leaving",
            "organization_id",
            "identity",
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        Index("chargers_list", "organization_id", "id", postgresql_where=text("deleted_at IS NULL")),
        Index(
            "chargers_location",
            "organization_id",
            "location_id",
            "id",
            postgresql_where=text("deleted_at IS NULL AND location_id IS NOT NULL"),
        ),
        Index("chargers_group", "organization_id", "list_group", "id", postgresql_where=LIVE),
        Index("chargers_group_identity", "organization_id", "list_group", "identity", postgresql_where=LIVE),
        Index(
            "chargers_group_since",
            "organization_id",
            "list_group",
            "observed_since",
            "id",
            postgresql_where=LIVE,
        ),
        Index("chargers_publish", "publish_at", postgresql_where=text("publish_at IS NOT NULL")),
        Index("chargers_observe", "observe_at", postgresql_where=text("observe_at IS NOT NULL")),
        Index("chargers_spec", "spec_hash", postgresql_where=LIVE),
        Index("chargers_rollout", "rollout_hash", postgresql_where=text("rollout_hash IS NOT NULL")),
        Index("chargers_leftovers", "id", postgresql_where=text("leftovers_at IS NOT NULL")),
        # The promise, kept by the database: what ECS was not told yet, the sweep will find.
        CheckConstraint(
            "publish_at IS NOT NULL OR (observed_generation >= generation AND drifted_at IS NULL)",
            name="chargers_unapplied_is_published",
        ),
        # And what is applied but not final, the observer will find.
        CheckConstraint(
            "observe_at IS NOT NULL OR publish_at IS NOT NULL OR settled_generation >= generation",
            name="chargers_unsettled_is_observed",
        ),
        CheckConstraint("desired_count IN (0, 1)", name="chargers_desired_count"),
        CheckConstraint(f"reason_code IN ({CODES})", name="chargers_reason_code"),
        CheckConstraint(f"error ->> 'code' IN ({CODES})", name="chargers_error_code"),
    )


# Triggers write these too, with `link_state`: for events, and for the release before this one.
_OF_LINKS = (
    Column("ocpp_reason", Text()),
    Column("ocpp_since", DateTime(timezone=True)),
    Column("ocpp_last_frame_at", DateTime(timezone=True)),
    Column("ocpp_task_id", Text()),
)
for _column in _OF_LINKS:
    cast(Table, Charger.__table__).append_column(_column)


class ChargerLink(Base):
    """What one ECS task's log says of its charger's link to the CSMS. Only the log reader writes it."""

    __tablename__ = "charger_links"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    task_id: Mapped[str] = mapped_column(primary_key=True)  #: "" for a line from before tasks were recorded
    #: Of a row without a task: it counts for the task that runs, as long as this is the charger's generation.
    task_generation: Mapped[int | None]
    state: Mapped[str | None]  #: an OcppState; null while only frames were read
    reason: Mapped[str | None]
    since: Mapped[datetime | None]  #: by the clock of the task's host, as is `last_frame_at`
    last_frame_at: Mapped[datetime | None]
    first_read_at: Mapped[datetime] = mapped_column(server_default=func.clock_timestamp())
    noted: Mapped[bool] = mapped_column(server_default=false())  #: lists and events have it

    __table_args__ = (Index("charger_links_to_note", "charger_id", postgresql_where=text("NOT noted")),)


class Views(DeclarativeBase):
    """What migrations make as views."""

    type_annotation_map = Base.type_annotation_map


class ShownLink(Views):
    """A charger's link to its CSMS, as clients see it: what the log of its task says, and whether that runs."""

    __tablename__ = "shown_links"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    state: Mapped[str | None]
    reason: Mapped[str | None]
    since: Mapped[datetime | None]
    last_frame_at: Mapped[datetime | None]
    task_id: Mapped[str | None]  #: the ECS task that the state is of
    task_generation: Mapped[int | None]
    log_lag_s: Mapped[float | None]  #: how far behind now the log has been read; null before the first time


class ChargerSearch(Base):
    """What a list is searched for by text: of each charger that is not deleted. Triggers keep it."""

    __tablename__ = "charger_search"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    content: Mapped[str]  #: identity and name in small letters, a line each

    __table_args__ = (
        Index("charger_search_organization", "organization_id"),
        Index(
            "charger_search_grams",
            func.search_grams(text("organization_id"), text("content")),
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 64},
        ),
    )


class ChargerCount(Base):
    """How many chargers an organization has, those that are being removed left out. Triggers keep it."""

    __tablename__ = "charger_counts"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    chargers: Mapped[int] = mapped_column(BigInteger)


class Command(Base):
    """One change asked of a charger: the promise that a 202 makes."""

    __tablename__ = "commands"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"))
    organization_id: Mapped[str]
    event_type: Mapped[str]
    generation: Mapped[int]
    status: Mapped[str] = mapped_column(default=CommandStatus.QUEUED)
    error: Mapped[dict[str, Any] | None]
    attempts: Mapped[int] = mapped_column(default=0)  #: tries at ECS so far
    reason: Mapped[str | None]  #: why ECS did not take it yet, in plain words
    held_since: Mapped[datetime | None]  #: since when the rate budget holds it back, if it does now
    #: For how long the rate budget held it back before: no deadline runs meanwhile.
    held_for: Mapped[timedelta] = mapped_column(server_default=text("interval '0'"))
    requested_by: Mapped[str]  #: `sub` of the token
    request_id: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    applied_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]

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


class FleetSpec(Base):
    """What workers of some settings make of every charger's task. worker/maintenance/rollout.py says which is the fleet's."""

    __tablename__ = "fleet_specs"

    hash: Mapped[str] = mapped_column(primary_key=True)
    since: Mapped[datetime] = mapped_column(server_default=func.now())  #: when workers came to have it
    seen_at: Mapped[datetime] = mapped_column(server_default=func.now())  #: when a worker last had it
    #: The rate: the rollout may have begun with all chargers that were due by then.
    paced_at: Mapped[datetime] = mapped_column(server_default=func.now())
    paused_at: Mapped[datetime | None]  #: since when it has stopped by itself


class IdempotencyKey(Base):
    """A POST that was answered, under the key that its client gave it: a repeat gets the same answer."""

    __tablename__ = "idempotency_keys"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    route: Mapped[str] = mapped_column(primary_key=True)  #: method and path
    key: Mapped[str] = mapped_column(primary_key=True)
    body_hash: Mapped[bytes]
    # The answer: null only while the transaction that claims the key is open.
    status: Mapped[int | None] = mapped_column(SmallInteger)
    headers: Mapped[dict[str, Any] | None]
    body: Mapped[dict[str, Any] | None] = mapped_column(JSON)  #: keeps the order of its keys
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class ChargerEvent(Base):
    """Something that changed about a charger. Triggers write it, in the transaction of the change."""

    __tablename__ = "charger_events"

    charger_id: Mapped[str] = mapped_column(ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True)
    #: Grows, for one charger, in the order of the commits.
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime] = mapped_column(server_default=func.now())
    type: Mapped[str]  #: command, status or ocpp
    data: Mapped[dict[str, Any]]

    __table_args__ = (Index("charger_events_at", "at", postgresql_using="brin"),)


class ChargerLog(Base):
    """One OCPP frame that a charger sent or received. Partitioned by day of `timestamp`."""

    __tablename__ = "charger_logs"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    timestamp: Mapped[datetime] = mapped_column(primary_key=True)
    event_id: Mapped[str] = mapped_column(primary_key=True)  #: CloudWatch's, so a line read twice is one row
    direction: Mapped[str]
    action: Mapped[str]
    message: Mapped[str | None]

    __table_args__ = ({"postgresql_partition_by": "RANGE (timestamp)"},)


class LogVolume(Base):
    """How many bytes of an organization's frames of one day (UTC) are stored."""

    __tablename__ = "log_volumes"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    bytes: Mapped[int] = mapped_column(BigInteger)


class LogCut(Base):
    """A charger some of whose frames of one day (UTC) the quota did not keep."""

    __tablename__ = "log_cuts"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)


class LogCursor(Base):
    """How far the fleet's log group has been read."""

    __tablename__ = "log_cursors"

    log_group: Mapped[str] = mapped_column(primary_key=True)
    read_until_ms: Mapped[int] = mapped_column(BigInteger)  #: by the last pass that came to its end, Unix ms
    unfinished: Mapped[dict[str, Any] | None]  #: the pass that is under way: worker.logs.cursor.Pass
    read_through: Mapped[datetime | None]  #: up to when all lines have been read; null for the slow pass
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())


class MaintenanceRun(Base):
    """How a maintenance task last ended, on whichever worker. One row for each task."""

    __tablename__ = "maintenance_runs"

    task: Mapped[str] = mapped_column(primary_key=True)
    finished_at: Mapped[datetime]
    succeeded_at: Mapped[datetime | None]
    duration_s: Mapped[float]
    failures: Mapped[int] = mapped_column(BigInteger)  #: since the first run
    error: Mapped[str | None]  #: of the last failure


class RemovedCharger(Base):
    """A charger whose row is gone, as long as something of it may be left: in ECS by a late call, or in charger_logs."""

    __tablename__ = "removed_chargers"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime]  #: by its client
    removed_at: Mapped[datetime] = mapped_column(server_default=func.now())  #: when a worker was done with it
    checked_at: Mapped[datetime | None]  #: when ECS was found to have nothing of it; its frames go after that

    __table_args__ = (
        Index("removed_chargers_unchecked", "removed_at", postgresql_where=text("checked_at IS NULL")),
        Index("removed_chargers_checked", "deleted_at", postgresql_where=text("checked_at IS NOT NULL")),
    )


class Installation(Base):
    """Which ECS runs the chargers of this database: one row, from the first start of a worker on."""

    __tablename__ = "installation"

    singleton: Mapped[bool] = mapped_column(primary_key=True, server_default=true())
    services: Mapped[str]  #: as shared.fleet.installation.Services writes them
    recorded_at: Mapped[datetime] = mapped_column(server_default=func.now())

    __table_args__ = (CheckConstraint("singleton", name="installation_singleton"),)
