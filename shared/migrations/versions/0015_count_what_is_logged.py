"""Count what each organization's chargers log in a day, and note which chargers lost frames to the quota"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    op.create_table(
        "log_volumes",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id", "day"),
    )
    op.create_table(
        "log_cuts",
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.PrimaryKeyConstraint("charger_id", "day"),
    )


def downgrade() -> None:
    op.drop_table("log_cuts")
    op.drop_table("log_volumes")
