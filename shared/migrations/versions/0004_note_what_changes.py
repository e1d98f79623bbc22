"""Note what changes of a charger, for those who watch it

Triggers, so that no change goes unnoticed, whoever writes it, and so that the note is in the change's transaction.
All of them fire while the charger's row is locked, or not visible to others yet: the ids of one charger's events
grow in the order of their commits.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0004"
down_revision = "0003"

NOTE_COMMAND = """
CREATE FUNCTION note_command() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_events (charger_id, type, data) VALUES (NEW.charger_id, 'command', jsonb_build_object(
        'id', NEW.id, 'event_type', NEW.event_type, 'generation', NEW.generation, 'status', NEW.status,
        'error', NEW.error
    ));
    RETURN NULL;
END $$
"""
NOTE_STATUS = """
CREATE FUNCTION note_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_events (charger_id, type, data) VALUES (NEW.id, 'status', jsonb_build_object(
        'status', NEW.provisioning_status, 'error', NEW.error, 'desired_count', NEW.desired_count,
        'running_count', NEW.running_count, 'pending_count', NEW.pending_count,
        'reason', NEW.reason, 'reason_code', NEW.reason_code
    ));
    RETURN NULL;
END $$
"""
NOTE_LINK = """
CREATE FUNCTION note_link() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_events (charger_id, type, data) VALUES (NEW.id, 'ocpp', jsonb_build_object(
        'state', NEW.ocpp_state, 'reason', NEW.ocpp_reason, 'since', NEW.ocpp_since
    ));
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
    CREATE TRIGGER commands_note_new AFTER INSERT ON commands
    FOR EACH ROW EXECUTE FUNCTION note_command()
    """,
    """
    CREATE TRIGGER commands_note_status AFTER UPDATE ON commands
    FOR EACH ROW WHEN (OLD.status <> NEW.status) EXECUTE FUNCTION note_command()
    """,
    """
    CREATE TRIGGER chargers_note_status AFTER UPDATE ON chargers
    FOR EACH ROW WHEN (
        (OLD.provisioning_status, OLD.running_count, OLD.pending_count, OLD.reason_code)
        IS DISTINCT FROM
        (NEW.provisioning_status, NEW.running_count, NEW.pending_count, NEW.reason_code)
    ) EXECUTE FUNCTION note_status()
    """,
    """
    CREATE TRIGGER chargers_note_link AFTER UPDATE ON chargers
    FOR EACH ROW WHEN ((OLD.ocpp_state, OLD.ocpp_reason) IS DISTINCT FROM (NEW.ocpp_state, NEW.ocpp_reason))
    EXECUTE FUNCTION note_link()
    """,
)


def upgrade() -> None:
    op.create_table(
        "charger_events",
        sa.Column("charger_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", JSONB(), nullable=False),
        sa.ForeignKeyConstraint(["charger_id"], ["chargers.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("charger_id", "id"),
    )
    op.create_index("charger_events_at", "charger_events", ["at"], postgresql_using="brin")
    for statement in (NOTE_COMMAND, NOTE_STATUS, NOTE_LINK, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP FUNCTION note_command, note_status, note_link CASCADE")
    op.drop_table("charger_events")
