"""Remember which task was seen running, and since when: a command succeeds when its task keeps running"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.add_column("chargers", sa.Column("running_task_arn", sa.Text(), nullable=True))
    op.add_column("chargers", sa.Column("running_since", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("chargers", "running_since")
    op.drop_column("chargers", "running_task_arn")
