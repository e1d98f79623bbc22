"""Act on many chargers at once: jobs and their items

A command of a job names the job: it has a lower priority at the rate budget than a single one, and of two jobs for a charger
the newer one wins.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0025"
down_revision = "0024"

COUNTS = ("requested", "succeeded", "failed", "superseded", "skipped", "cancelled")


def upgrade() -> None:
    instant = sa.DateTime(timezone=True)
    op.create_table(
        "jobs",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), primary_key=True),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column("changed_by", sa.Text(), nullable=True),
        sa.Column("rate_per_second", sa.Double(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("waiting", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Integer(), server_default="0", nullable=False) for name in COUNTS),
        sa.Column("requested_by", sa.Text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.BigInteger(), nullable=True),
        sa.Column("created_at", instant, server_default=sa.func.now(), nullable=False),
        sa.Column("finished_at", instant, nullable=True),
        sa.Column("next_at", instant, server_default=sa.func.now(), nullable=True),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("ramp_from", instant, nullable=True),
        sa.Column("ramped", sa.Integer(), server_default="0", nullable=False),
        sa.Column("pace", sa.Double(), server_default="0", nullable=False),
        sa.Column("paced_at", instant, nullable=True),
        sa.Column("paced_from", instant, nullable=True),
        sa.CheckConstraint("status IN ('running', 'paused', 'cancelled', 'finished')", name="jobs_status"),
        sa.CheckConstraint(
            "waiting + requested + succeeded + failed + superseded + skipped + cancelled = total",
            name="jobs_no_item_is_lost",
        ),
        sa.CheckConstraint(
            "finished_at IS NULL OR (waiting = 0 AND requested = 0 AND next_at IS NULL)",
            name="jobs_finished_is_final",
        ),
        sa.CheckConstraint(
            "next_at IS NOT NULL OR finished_at IS NOT NULL OR status = 'paused'",
            name="jobs_unfinished_is_continued",
        ),
    )
    op.create_index("jobs_organization", "jobs", ["organization_id", "id"])
    op.create_index(
        "jobs_open", "jobs", ["organization_id", "id"], postgresql_where=sa.text("finished_at IS NULL")
    )
    op.create_index("jobs_next", "jobs", ["next_at"], postgresql_where=sa.text("next_at IS NOT NULL"))
    op.create_index(
        "jobs_finished", "jobs", ["finished_at"], postgresql_where=sa.text("finished_at IS NOT NULL")
    )
    op.create_table(
        "job_items",
        sa.Column("job_id", sa.BigInteger(), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("input", JSONB(), nullable=True),
        sa.Column("result", sa.Text(), server_default="waiting", nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("reason_code", sa.Text(), nullable=True),
        sa.Column("command_id", sa.Uuid(), nullable=True),
        sa.Column("requested_at", instant, nullable=True),
        sa.Column("finished_at", instant, nullable=True),
        sa.CheckConstraint(
            "result IN ('waiting', 'requested', 'succeeded', 'failed', 'superseded', 'skipped', 'cancelled')",
            name="job_items_result_known",
        ),
    )
    op.create_index("job_items_result", "job_items", ["job_id", "result", "position"])
    op.add_column("commands", sa.Column("job_id", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("commands", "job_id")
    op.drop_table("job_items")
    op.drop_table("jobs")
