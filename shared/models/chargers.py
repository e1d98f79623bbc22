"""Chargers, the texts and counts that triggers derive from them, and removed chargers."""

from datetime import datetime, timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ColumnElement,
    DateTime,
    FetchedValue,
    ForeignKeyConstraint,
    Index,
    SmallInteger,
    Table,
    Text,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, column_property, foreign, mapped_column, relationship

from shared.models.base import CODES, Base
from shared.models.commands import Command
from shared.models.control import ChargerReport, ShownReport
from shared.models.links import ShownLink
from shared.models.settings import ChargerSettings
from shared.vocabulary import Placement, ProvisioningStatus

LIVE = text("deleted_at IS NULL")


class Charger(Base):
    """A simulated charging station: one row, and one ECS service unless it shares a host.

    The API writes the desired state, workers write the observed one.
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
    location_id: Mapped[str | None]  #: of a location of the organization
    location_name: Mapped[str | None]
    labels: Mapped[dict[str, Any]] = mapped_column(JSONB, server_default="{}")  #: names and values, all text
    expires_at: Mapped[datetime | None]  #: a worker then deletes it; null for never
    placement: Mapped[str] = mapped_column(server_default=Placement.DEDICATED)
    host_id: Mapped[str | None]  #: of a shared charger, from when a worker has placed it
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    updated_at: Mapped[datetime] = mapped_column(server_default=func.now())

    # Desired.
    desired_count: Mapped[int] = mapped_column(SmallInteger, default=1)  #: 1 is on, 0 is off
    generation: Mapped[int] = mapped_column(default=1)  #: +1 on every requested change
    spec_generation: Mapped[int] = mapped_column(default=1)  #: the newest that changed the task's environment
    restart_generation: Mapped[int] = mapped_column(default=0)  #: the newest that requested a restart
    deleted_at: Mapped[datetime | None]  #: hidden from clients since; a worker still removes its service
    newest_command_id: Mapped[UUID]  #: the command of `generation`
    newest_event_type: Mapped[str]

    # Provisioning.
    provisioning_status: Mapped[str] = mapped_column(default=ProvisioningStatus.PENDING)
    workflow_run_id: Mapped[str]
    step: Mapped[str | None]  #: the provisioning step that is running, or that failed
    error: Mapped[dict[str, Any] | None]
    provisioned_at: Mapped[datetime | None]

    # Applied to ECS.
    observed_generation: Mapped[int] = mapped_column(
        default=0
    )  #: the newest that ECS accepted; never decreases
    settled_generation: Mapped[int] = mapped_column(default=0)  #: the newest whose command is final
    task_definition_arn: Mapped[str | None]
    task_definition_generation: Mapped[int] = mapped_column(
        default=0
    )  #: the spec_generation that it was made for
    restart_task_arn: Mapped[str | None]  #: the task that a restart stops; null when none ran
    restart_task_generation: Mapped[int] = mapped_column(default=0)  #: restart_generation it was recorded for
    spec_hash: Mapped[str | None]  #: of the fleet's spec in its task definition; null when unknown
    spec_by_link: Mapped[bool] = mapped_column(
        server_default=false()
    )  #: its task definition leads to the control link, from which its process gets everything else
    leftovers_at: Mapped[datetime | None]  #: since when a task definition is left that no service uses

    # Rollout: see worker/maintenance/rollout.py.
    rollout_hash: Mapped[str | None]  #: the spec that it is being moved to; null outside a rollout
    rollout_at: Mapped[datetime | None]  #: when its last rollout began, or created its task definition

    # Observed.
    service_status: Mapped[str | None]  #: ACTIVE, DRAINING or INACTIVE
    running_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    pending_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    observed_at: Mapped[datetime | None] = mapped_column()
    observed_since: Mapped[datetime] = mapped_column(
        server_default=func.now()
    )  #: since when it is in its observed state; a trigger keeps it
    reason: Mapped[str | None]  #: why it does not run as desired, as a sentence
    reason_code: Mapped[str | None]  #: the same as a code of docs/errors.md
    drifted_at: Mapped[datetime | None]  #: when drift was found, or a rollout began
    running_task_arn: Mapped[str | None]  #: the ECS task last observed running
    running_task_generation: Mapped[int | None]  #: the generation that ECS had reached then
    running_since: Mapped[
        datetime | None
    ]  #: when that task was first observed running, by the database's clock
    running_task_seen_at: Mapped[datetime | None]  #: just before ECS last reported it running
    running_task_ended_at: Mapped[datetime | None]  #: just before ECS reported that nothing runs

    # The link to the CSMS: `link` is what clients see; lists filter by `link_state`, which triggers keep.
    link_state: Mapped[str | None] = mapped_column("ocpp_state")
    link_noted_at: Mapped[datetime | None]  #: when `link_state` was last derived from reports and logs
    link: Mapped["ShownLink"] = relationship(
        lambda: ShownLink,
        primaryjoin=lambda: foreign(Charger.id) == ShownLink.charger_id,
        viewonly=True,
        lazy="raise",
    )

    command: Mapped["Command | None"] = relationship(
        lambda: Command,
        primaryjoin=lambda: foreign(Charger.newest_command_id) == Command.id,
        viewonly=True,
        lazy="raise",
    )
    settings: Mapped["ChargerSettings | None"] = relationship(
        lambda: ChargerSettings,
        primaryjoin=lambda: foreign(ChargerSettings.charger_id) == Charger.id,
        viewonly=True,
        lazy="raise",
    )
    control: Mapped["ShownReport | None"] = relationship(
        lambda: ShownReport,
        primaryjoin=lambda: foreign(Charger.id) == ShownReport.charger_id,
        viewonly=True,
        lazy="raise",
    )
    report: Mapped["ChargerReport | None"] = relationship(
        lambda: ChargerReport,
        primaryjoin=lambda: foreign(ChargerReport.charger_id) == Charger.id,
        viewonly=True,
        lazy="raise",
    )

    # Scheduling: when a worker, the sweep and the observer next act on this row.
    attempts: Mapped[int] = mapped_column(default=0)  #: failed attempts at the newest generation
    not_before: Mapped[datetime | None]  #: no worker calls ECS for it before
    publish_at: Mapped[datetime | None]  #: from then on the sweep publishes its command again
    observe_at: Mapped[datetime | None]  #: from then on the observer describes its service

    #: Equal for chargers that agree in all facts a list filters by (shared/fleet/listing); a trigger keeps it.
    list_group: Mapped[int] = mapped_column(
        BigInteger,
        server_default=FetchedValue(),
        server_onupdate=FetchedValue(for_update=True),
        deferred=True,
    )

    #: Time since it was last observed, or created, as of the read: by the clock that wrote both.
    unobserved_for: Mapped[timedelta] = column_property(func.now() - func.coalesce(observed_at, created_at))

    #: Time that it has been in its observed state, as of the read.
    in_state_for: Mapped[timedelta] = column_property(func.now() - observed_since)

    @hybrid_property
    def running_task_id(self) -> str | None:
        """The last part of the ARN, which also ends the name of the task's log stream."""
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
            "chargers_deleted",
            "organization_id",
            "identity",
            postgresql_where=text("deleted_at IS NOT NULL"),
        ),
        Index("chargers_list", "organization_id", "id", postgresql_where=text("deleted_at IS NULL")),
        Index(
            "chargers_of_location",
            "organization_id",
            "location_id",
            "id",
            postgresql_where=text("location_id IS NOT NULL"),
        ),
        Index(
            "chargers_location_group",
            "organization_id",
            "location_id",
            "list_group",
            postgresql_where=text("deleted_at IS NULL AND location_id IS NOT NULL"),
        ),
        ForeignKeyConstraint(
            ["organization_id", "location_id"],
            ["locations.organization_id", "locations.id"],
            name="chargers_location_exists",
        ),
        Index(
            "chargers_of_host",
            "organization_id",
            "host_id",
            "id",
            postgresql_where=text("host_id IS NOT NULL"),
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
        Index(
            "chargers_expire",
            "expires_at",
            postgresql_where=text("expires_at IS NOT NULL AND deleted_at IS NULL"),
        ),
        # No command is lost: one that ECS has not accepted is always found by the sweep,
        CheckConstraint(
            "publish_at IS NOT NULL OR (observed_generation >= generation AND drifted_at IS NULL)",
            name="chargers_unapplied_is_published",
        ),
        # and one that is applied but not final by the observer or the sweep.
        CheckConstraint(
            "observe_at IS NOT NULL OR publish_at IS NOT NULL OR settled_generation >= generation",
            name="chargers_unsettled_is_observed",
        ),
        CheckConstraint("desired_count IN (0, 1)", name="chargers_desired_count"),
        CheckConstraint("placement IN ('dedicated', 'shared')", name="chargers_placement"),
        CheckConstraint(f"reason_code IN ({CODES})", name="chargers_reason_code"),
        CheckConstraint(f"error ->> 'code' IN ({CODES})", name="chargers_error_code"),
    )


# Triggers write these with `link_state`, and events read them.
_OF_LINKS = (
    Column("ocpp_reason", Text()),
    Column("ocpp_since", DateTime(timezone=True)),
)
for _column in _OF_LINKS:
    cast(Table, Charger.__table__).append_column(_column)


class ChargerSearch(Base):
    """The searchable text of each charger that is not deleted. Triggers keep it."""

    __tablename__ = "charger_search"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    content: Mapped[str]  #: identity and name in lower case, a line each

    __table_args__ = (
        Index("charger_search_organization", "organization_id"),
        Index(
            "charger_search_grams",
            func.search_grams(text("organization_id"), text("content")),
            postgresql_using="gin",
            postgresql_with={"gin_pending_list_limit": 64},
        ),
    )


class ChargerLabel(Base):
    """A label of a charger that is not deleted. Triggers keep it: lists are filtered by it."""

    __tablename__ = "charger_labels"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    organization_id: Mapped[str]
    value: Mapped[str]

    __table_args__ = (Index("charger_labels_value", "organization_id", "name", "value", "charger_id"),)


class ChargerCount(Base):
    """How many chargers an organization has, without deleted ones. Triggers keep it."""

    __tablename__ = "charger_counts"

    organization_id: Mapped[str] = mapped_column(primary_key=True)
    chargers: Mapped[int] = mapped_column(BigInteger)


class RemovedCharger(Base):
    """A removed charger, kept while a late call may have left something in ECS, or its log is stored."""

    __tablename__ = "removed_chargers"

    charger_id: Mapped[str] = mapped_column(primary_key=True)
    deleted_at: Mapped[datetime]  #: when its client deleted it
    removed_at: Mapped[datetime] = mapped_column(
        server_default=func.now()
    )  #: when a worker had removed its service
    checked_at: Mapped[
        datetime | None
    ]  #: when ECS was found to have nothing of it; its frames are pruned after that

    __table_args__ = (
        Index("removed_chargers_unchecked", "removed_at", postgresql_where=text("checked_at IS NULL")),
        Index("removed_chargers_checked", "deleted_at", postgresql_where=text("checked_at IS NOT NULL")),
    )
