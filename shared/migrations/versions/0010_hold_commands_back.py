"""Note for how long our own rate budget held a command back: that time is not taken from its deadline"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column("commands", sa.Column("held_since", sa.DateTime(timezone=True), nullable=True))
    zero = sa.text("interval '0'")
    op.add_column("commands", sa.Column("held_for", sa.Interval(), server_default=zero, nullable=False))


def downgrade() -> None:
    op.drop_column("commands", "held_for")
    op.drop_column("commands", "held_since")
