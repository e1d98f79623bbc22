"""Keep what chargers log beside frames: remarks, and changes of their links

The table has partitions per day as `charger_logs` has. The release before this one neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"


def upgrade() -> None:
    op.create_table(
        "charger_log_lines",
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.DateTime(timezone=True), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("charger_id", "timestamp", "event_id"),
        postgresql_partition_by="RANGE (timestamp)",
    )


def downgrade() -> None:
    op.drop_table("charger_log_lines")
