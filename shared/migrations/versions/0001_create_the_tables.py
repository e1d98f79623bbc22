"""Create the tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "catalog_brands",
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("slug"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "charger_logs",
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("charger_id", "timestamp", "event_id"),
        postgresql_partition_by="RANGE (timestamp)",
    )
    op.create_table(
        "chargers",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("brand_slug", sa.Text(), nullable=False),
        sa.Column("model_slug", sa.Text(), nullable=False),
        sa.Column("vendor_name", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("connector_type", sa.Text(), nullable=False),
        sa.Column("current_type", sa.Text(), nullable=False),
        sa.Column("number_of_connectors", sa.SmallInteger(), nullable=False),
        sa.Column("max_charging_power", sa.Integer(), nullable=False),
        sa.Column("ocpp_version", sa.Text(), nullable=False),
        sa.Column("ws_url", sa.Text(), nullable=False),
        sa.Column("location_id", sa.Text(), nullable=True),
        sa.Column("location_name", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("desired_count", sa.SmallInteger(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("spec_generation", sa.Integer(), nullable=False),
        sa.Column("restart_generation", sa.Integer(), nullable=False),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_command_id", sa.Uuid(), nullable=False),
        sa.Column("newest_event_type", sa.Text(), nullable=False),
        sa.Column("provisioning_status", sa.Text(), nullable=False),
        sa.Column("workflow_run_id", sa.Text(), nullable=False),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("provisioned_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("observed_generation", sa.Integer(), nullable=False),
        sa.Column("settled_generation", sa.Integer(), nullable=False),
        sa.Column("task_definition_arn", sa.Text(), nullable=True),
        sa.Column("task_definition_generation", sa.Integer(), nullable=False),
        sa.Column("restart_task_arn", sa.Text(), nullable=True),
        sa.Column("restart_task_generation", sa.Integer(), nullable=False),
        sa.Column("service_status", sa.Text(), nullable=True),
        sa.Column("running_count", sa.SmallInteger(), nullable=False),
        sa.Column("pending_count", sa.SmallInteger(), nullable=False),
        sa.Column("observed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("drifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ocpp_state", sa.Text(), nullable=True),
        sa.Column("ocpp_reason", sa.Text(), nullable=True),
        sa.Column("ocpp_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ocpp_last_frame_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("publish_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("observe_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("desired_count IN (0, 1)", name="chargers_desired_count"),
        sa.CheckConstraint(
            "observe_at IS NOT NULL OR publish_at IS NOT NULL OR settled_generation >= generation",
            name="chargers_unsettled_is_observed",
        ),
        sa.CheckConstraint(
            "publish_at IS NOT NULL OR (observed_generation >= generation AND drifted_at IS NULL)",
            name="chargers_unapplied_is_published",
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "chargers_identity",
        "chargers",
        ["organization_id", "identity"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "chargers_leaving",
        "chargers",
        ["organization_id", "identity"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NOT NULL"),
    )
    op.create_index(
        "chargers_list",
        "chargers",
        ["organization_id", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_index(
        "chargers_location",
        "chargers",
        ["organization_id", "location_id", "id"],
        unique=False,
        postgresql_where=sa.text("deleted_at IS NULL AND location_id IS NOT NULL"),
    )
    op.create_index(
        "chargers_observe",
        "chargers",
        ["observe_at"],
        unique=False,
        postgresql_where=sa.text("observe_at IS NOT NULL"),
    )
    op.create_index(
        "chargers_publish",
        "chargers",
        ["publish_at"],
        unique=False,
        postgresql_where=sa.text("publish_at IS NOT NULL"),
    )
    op.create_table(
        "log_cursors",
        sa.Column("log_group", sa.Text(), nullable=False),
        sa.Column("read_until_ms", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("log_group"),
    )
    op.create_table(
        "catalog_models",
        sa.Column("brand_slug", sa.Text(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("image_url", sa.Text(), nullable=True),
        sa.Column("connector_count", sa.SmallInteger(), nullable=False),
        sa.Column("current_type", sa.Text(), nullable=False),
        sa.Column("supported_kwh", JSONB(), nullable=False),
        sa.Column("connector_types", JSONB(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["brand_slug"],
            ["catalog_brands.slug"],
        ),
        sa.PrimaryKeyConstraint("brand_slug", "slug"),
        sa.UniqueConstraint("id"),
    )
    op.create_table(
        "commands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("error", JSONB(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("charger_id", "generation", name="commands_generation"),
    )
    op.create_index(
        "commands_open",
        "commands",
        ["charger_id", "generation"],
        unique=False,
        postgresql_where=sa.text("status IN ('queued', 'applied')"),
    )


def downgrade() -> None:
    op.drop_index(
        "commands_open", table_name="commands", postgresql_where=sa.text("status IN ('queued', 'applied')")
    )
    op.drop_table("commands")
    op.drop_table("catalog_models")
    op.drop_table("log_cursors")
    op.drop_index(
        "chargers_publish", table_name="chargers", postgresql_where=sa.text("publish_at IS NOT NULL")
    )
    op.drop_index(
        "chargers_observe", table_name="chargers", postgresql_where=sa.text("observe_at IS NOT NULL")
    )
    op.drop_index(
        "chargers_location",
        table_name="chargers",
        postgresql_where=sa.text("deleted_at IS NULL AND location_id IS NOT NULL"),
    )
    op.drop_index("chargers_list", table_name="chargers", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_index("chargers_identity", table_name="chargers", postgresql_where=sa.text("deleted_at IS NULL"))
    op.drop_table("chargers")
    op.drop_table("charger_logs")
    op.drop_table("catalog_brands")
