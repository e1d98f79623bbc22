"""Note how much memory the process of a host may have

The release before this one does not read it.
"""

from alembic import op

revision = "0037"
down_revision = "0035"


def upgrade() -> None:
    op.execute("ALTER TABLE hosts ADD COLUMN memory_limit_bytes bigint")


def downgrade() -> None:
    op.execute("ALTER TABLE hosts DROP COLUMN memory_limit_bytes")
