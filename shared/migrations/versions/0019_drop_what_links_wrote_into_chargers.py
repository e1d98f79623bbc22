"""Drop the columns of `chargers` that the log reader wrote before links had rows of their own

Nothing has written them since 0016, and the release before this one does not read them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"


def upgrade() -> None:
    op.execute("ALTER TABLE chargers DROP COLUMN ocpp_task_id, DROP COLUMN ocpp_last_frame_at")


def downgrade() -> None:
    op.add_column("chargers", sa.Column("ocpp_task_id", sa.Text(), nullable=True))
    op.add_column("chargers", sa.Column("ocpp_last_frame_at", sa.DateTime(timezone=True), nullable=True))
