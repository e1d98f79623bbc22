"""Find the jobs of a charger

A job leaves a charger alone that a newer job has acted on.
"""

from alembic import op

revision = "0026"
down_revision = "0025"


def upgrade() -> None:
    op.create_index("job_items_charger", "job_items", ["charger_id", "job_id"])


def downgrade() -> None:
    op.drop_index("job_items_charger", "job_items")
