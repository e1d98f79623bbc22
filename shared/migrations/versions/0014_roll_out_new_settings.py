"""Know of what settings a charger's task definition was made, bring new ones to all chargers, and remember removed ones"""

import sqlalchemy as sa
from alembic import op

from shared.migrations.indexes import build_index

revision = "0014"
down_revision = "0013"

INDEXES = {
    "chargers_spec": "chargers (spec_hash) WHERE deleted_at IS NULL",
    "chargers_rollout": "chargers (rollout_hash) WHERE rollout_hash IS NOT NULL",
    "chargers_leftovers": "chargers (id) WHERE leftovers_at IS NOT NULL",
}

# The release before this one does not know the column: what it records is of its own settings, which no row names.
FORGET_SPEC = """
CREATE OR REPLACE FUNCTION forget_spec() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.spec_hash := NULL;
    RETURN NEW;
END $$
"""
# This release writes `leftovers_at` with each definition that takes the place of another one.
SPEC_FORGOTTEN = """
CREATE OR REPLACE TRIGGER chargers_spec_forgotten BEFORE UPDATE OF task_definition_arn ON chargers
FOR EACH ROW WHEN (
    OLD.spec_hash IS NOT NULL
    AND NEW.task_definition_arn IS DISTINCT FROM OLD.task_definition_arn
    AND NEW.leftovers_at IS NOT DISTINCT FROM OLD.leftovers_at
) EXECUTE FUNCTION forget_spec()
"""


def upgrade() -> None:
    op.execute("""
        ALTER TABLE chargers
            ADD COLUMN IF NOT EXISTS spec_hash text,
            ADD COLUMN IF NOT EXISTS leftovers_at timestamptz,
            ADD COLUMN IF NOT EXISTS rollout_hash text,
            ADD COLUMN IF NOT EXISTS rollout_at timestamptz
    """)
    op.execute(FORGET_SPEC)
    op.execute(SPEC_FORGOTTEN)
    op.create_table(
        "fleet_specs",
        sa.Column("hash", sa.Text(), primary_key=True),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("paced_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        if_not_exists=True,
    )
    op.create_table(
        "removed_chargers",
        sa.Column("charger_id", sa.Text(), primary_key=True),
        sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("removed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        if_not_exists=True,
    )
    for name, column, which in (
        ("removed_chargers_unchecked", "removed_at", "checked_at IS NULL"),
        ("removed_chargers_checked", "deleted_at", "checked_at IS NOT NULL"),
    ):
        where = sa.text(which)
        op.create_index(name, "removed_chargers", [column], postgresql_where=where, if_not_exists=True)
    with op.get_context().autocommit_block():
        for name, definition in INDEXES.items():
            build_index(op.get_bind(), name, definition)


def downgrade() -> None:
    op.execute("DROP FUNCTION forget_spec CASCADE")
    op.drop_table("removed_chargers")
    op.drop_table("fleet_specs")
    for column in ("rollout_at", "rollout_hash", "leftovers_at", "spec_hash"):
        op.drop_column("chargers", column)
