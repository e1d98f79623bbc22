"""Store the receipt of a request that carries an Idempotency-Key, not the rendered answer

The old columns stay for this release, because old API processes run beside new ones during a rolling deployment. New
processes read the rows that old ones wrote, for the 24 hours that a key lives, and write the old columns too: so a
repeat gets the first answer from either.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("receipt", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "receipt")
