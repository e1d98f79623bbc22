"""Tell why a command waits, store no unknown code, remember an unfinished pass through the logs"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

CODES = (
    "runtime_provider_error",
    "waiting_for_rate_budget",
    "invalid_configuration",
    "provider_access_denied",
    "provisioning_timeout",
    "runtime_timeout",
    "image_unavailable",
    "capacity_unavailable",
    "quota_exceeded",
    "task_exited",
    "deployment_failed",
    "unknown_error",
)


def upgrade() -> None:
    op.add_column("log_cursors", sa.Column("unfinished", JSONB(), nullable=True))
    op.add_column("commands", sa.Column("reason", sa.Text(), nullable=True))
    codes = ", ".join(f"'{code}'" for code in CODES)
    op.create_check_constraint("chargers_reason_code", "chargers", f"reason_code IN ({codes})")
    op.create_check_constraint("chargers_error_code", "chargers", f"error ->> 'code' IN ({codes})")
    op.create_check_constraint("commands_error_code", "commands", f"error ->> 'code' IN ({codes})")


def downgrade() -> None:
    op.drop_constraint("commands_error_code", "commands")
    op.drop_constraint("chargers_error_code", "chargers")
    op.drop_constraint("chargers_reason_code", "chargers")
    op.drop_column("commands", "reason")
    op.drop_column("log_cursors", "unfinished")
