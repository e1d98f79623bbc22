"""Keep locations, labels, and the time when a charger goes away by itself

The tables and columns only: what is in use already becomes locations in a later migration.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0028"
down_revision = "0027"

INSTANT = sa.DateTime(timezone=True)
LIVE = "deleted_at IS NULL"


def upgrade() -> None:
    op.create_table(
        "locations",
        sa.Column("organization_id", sa.Text(), primary_key=True),
        sa.Column("id", sa.Text(), primary_key=True),
        *(sa.Column(name, sa.Text()) for name in ("slug", "name", "address", "city", "country")),
        sa.Column("coordinates", JSONB()),
        sa.Column("timezone", sa.Text()),
        sa.Column("owner_name", sa.Text()),
        sa.Column("public", sa.Boolean(), server_default=sa.true()),
        sa.Column("status", sa.Text(), server_default="active"),
        sa.Column("labels", JSONB(), server_default="{}", nullable=False),
        sa.Column("expires_at", INSTANT),
        sa.Column("created_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("updated_at", INSTANT, server_default=sa.func.now(), nullable=False),
        sa.Column("deleted_at", INSTANT),
    )
    op.create_index(
        "locations_list",
        "locations",
        ["organization_id", sa.text("created_at DESC"), "id"],
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "locations_slug",
        "locations",
        ["organization_id", "slug"],
        unique=True,
        postgresql_where=sa.text(LIVE),
    )
    op.add_column("chargers", sa.Column("labels", JSONB(), server_default="{}", nullable=False))
    op.add_column("chargers", sa.Column("expires_at", INSTANT))
    for table in ("chargers", "locations"):
        op.create_index(
            f"{table}_expire",
            table,
            ["expires_at"],
            postgresql_where=sa.text(f"expires_at IS NOT NULL AND {LIVE}"),
        )
    op.add_column("jobs", sa.Column("location_id", sa.Text()))
    op.add_column("jobs", sa.Column("input", JSONB()))


def downgrade() -> None:
    op.drop_column("jobs", "input")
    op.drop_column("jobs", "location_id")
    op.drop_column("chargers", "expires_at")
    op.drop_column("chargers", "labels")
    op.drop_table("locations")
