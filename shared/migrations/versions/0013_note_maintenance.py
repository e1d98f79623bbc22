"""Note when maintenance last ran, and of which deleted chargers frames are left"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "maintenance_runs",
        sa.Column("task", sa.Text(), primary_key=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_s", sa.Double(), nullable=False),
        sa.Column("failures", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
    )
    op.create_table(
        "deleted_chargers",
        sa.Column("charger_id", sa.Text(), primary_key=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("deleted_chargers_deleted_at", "deleted_chargers", ["deleted_at"])


def downgrade() -> None:
    op.drop_table("deleted_chargers")
    op.drop_table("maintenance_runs")
