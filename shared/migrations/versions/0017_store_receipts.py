"""Store the receipt of a request that carries an Idempotency-Key, not the rendered answer

The old columns stay for this release: rows written before this migration, and by old API processes that run beside
new ones, are read from them for the 24 hours that a key lives. An old process cannot read a receipt: during a rolling
deployment it answers a repeat of a request that a new process stored with a 500, and changes nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0017"
down_revision = "0015"


def upgrade() -> None:
    op.add_column("idempotency_keys", sa.Column("receipt", JSONB(), nullable=True))


def downgrade() -> None:
    op.drop_column("idempotency_keys", "receipt")
