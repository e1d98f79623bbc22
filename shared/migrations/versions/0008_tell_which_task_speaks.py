"""Tell which ECS task a charger's link state comes from, and which one runs"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("chargers", sa.Column("ocpp_task_id", sa.Text(), nullable=True))
    op.add_column("chargers", sa.Column("running_task_generation", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("chargers", "running_task_generation")
    op.drop_column("chargers", "ocpp_task_id")
