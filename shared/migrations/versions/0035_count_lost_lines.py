"""Count the lines of shared chargers that were lost

The lines of a shared charger are numbered. `log_numbers` has the numbers that a worker has read, so that gaps are seen. The
release before this one does not read it.
"""

from alembic import op

revision = "0035"
down_revision = "0034"


def upgrade() -> None:
    op.execute("""
        CREATE TABLE log_numbers (
            charger_id text NOT NULL,
            boot_id text NOT NULL,
            seen int4multirange NOT NULL,
            missing integer NOT NULL DEFAULT 0,
            reported integer NOT NULL DEFAULT 0,
            gaps_at timestamptz,
            read_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (charger_id, boot_id)
        )
    """)
    op.execute("CREATE INDEX log_numbers_gaps ON log_numbers (gaps_at) WHERE gaps_at IS NOT NULL")
    op.execute("CREATE INDEX log_numbers_read ON log_numbers (read_at)")


def downgrade() -> None:
    op.execute("DROP TABLE log_numbers")
