"""Actions of running chargers, and what comes back over the control link

The API inserts actions. Processes of the link write everything else here. The release before this one neither reads nor
writes any of it.

The triggers write the events of actions. They lock the chargers first, in the order of their ids, because the ids of a
charger's events must grow in the order of their commits: every other writer of events holds that lock too.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0020"
down_revision = "0019"

OPEN = "status IN ('queued', 'received')"
CREATE_ACTIONS = """
CREATE TABLE actions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    charger_id text NOT NULL REFERENCES chargers ON DELETE CASCADE,
    organization_id text NOT NULL,
    name text NOT NULL,
    event jsonb NOT NULL,
    sealed_event text,
    status text NOT NULL,
    reason text,
    reason_code text,
    result jsonb,
    requested_by text NOT NULL,
    request_id text,
    boot_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    received_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT actions_status CHECK (
        status IN ('queued', 'received', 'applied', 'rejected', 'expired', 'failed')
    ),
    CONSTRAINT actions_final_is_finished CHECK (
        (finished_at IS NULL) = (status IN ('queued', 'received'))
    )
)
"""
NOTE_ACTIONS = """
CREATE FUNCTION note_actions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chargers WHERE id IN (SELECT charger_id FROM changed) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO charger_events (charger_id, type, data)
    SELECT charger_id, 'action', jsonb_build_object(
        'id', id::text, 'event_type', name, 'status', status, 'reason', reason, 'reason_code', reason_code,
        'result', result
    ) FROM changed ORDER BY id;
    RETURN NULL;
END $$
"""
NOTE_FINAL_ACTIONS = """
CREATE FUNCTION note_final_actions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chargers WHERE id IN (
        SELECT charger_id FROM changed WHERE finished_at IS NOT NULL
    ) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO charger_events (charger_id, type, data)
    SELECT charger_id, 'action', jsonb_build_object(
        'id', id::text, 'event_type', name, 'status', status, 'reason', reason, 'reason_code', reason_code,
        'result', result
    ) FROM changed WHERE finished_at IS NOT NULL AND NOT EXISTS (
        SELECT FROM before WHERE before.id = changed.id AND before.finished_at IS NOT NULL
    ) ORDER BY id;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
    CREATE TRIGGER actions_note_new AFTER INSERT ON actions
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_actions()
    """,
    """
    CREATE TRIGGER actions_note_final AFTER UPDATE ON actions
    REFERENCING OLD TABLE AS before NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION note_final_actions()
    """,
)
INDEXES = (
    f"CREATE INDEX actions_open ON actions (charger_id, id) WHERE {OPEN}",
    "CREATE INDEX actions_charger ON actions (charger_id, id)",
    "CREATE INDEX actions_organization ON actions (organization_id, id)",
    f"CREATE INDEX actions_organization_open ON actions (organization_id, id) WHERE {OPEN}",
    "CREATE INDEX actions_finished ON actions (finished_at) WHERE finished_at IS NOT NULL",
    "CREATE INDEX charger_reports_process ON charger_reports (process_id)",
    "CREATE INDEX control_sessions_link ON control_sessions (link_id) WHERE disconnected_at IS NULL",
)


def upgrade() -> None:
    op.execute(CREATE_ACTIONS)
    for statement in (NOTE_ACTIONS, NOTE_FINAL_ACTIONS, *TRIGGERS):
        op.execute(statement)
    _create_links()
    _create_reports()
    for statement in INDEXES:
        op.execute(statement)


def _create_links() -> None:
    op.create_table(
        "control_links",
        sa.Column("id", sa.Text(), primary_key=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "control_sessions",
        sa.Column("process_id", sa.Text(), primary_key=True),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("boot_id", sa.Text(), nullable=False),
        sa.Column("link_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("connected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("disconnected_at", sa.DateTime(timezone=True), nullable=True),
    )


def _create_reports() -> None:
    op.create_table(
        "charger_reports",
        _charger_id(),
        sa.Column("process_id", sa.Text(), nullable=True),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("csms", JSONB(), nullable=True),
        sa.Column("connectors", JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column("remark", JSONB(), nullable=True),
        sa.Column("spec_revision", sa.BigInteger(), nullable=True),
        sa.Column("spec_error", sa.Text(), nullable=True),
        sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_table(
        "charger_memories",
        _charger_id(),
        sa.Column("boot_id", sa.Text(), nullable=True),
        sa.Column("memory", JSONB(), nullable=False),
        sa.Column("saved_at", sa.DateTime(timezone=True), nullable=False),
    )


def _charger_id() -> sa.Column[str]:
    return sa.Column(
        "charger_id", sa.Text(), sa.ForeignKey("chargers.id", ondelete="CASCADE"), primary_key=True
    )


def downgrade() -> None:
    op.drop_table("charger_memories")
    op.drop_table("charger_reports")
    op.drop_table("control_sessions")
    op.drop_table("control_links")
    op.drop_table("actions")
    op.execute("DROP FUNCTION note_actions, note_final_actions")
