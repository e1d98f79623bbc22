"""Note which labels a charger had when they change

A feed with a filter by labels tells its reader that a charger has them no more.
"""

from alembic import op

revision = "0031"
down_revision = "0030"

NOTE_LABELS = """
CREATE FUNCTION note_labels() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_events (charger_id, organization_id, type, data)
    VALUES (NEW.id, NEW.organization_id, 'changed', jsonb_build_object('labels', OLD.labels));
    RETURN NULL;
END $$
"""
NOTE = (
    "CREATE TRIGGER chargers_note_{name} AFTER UPDATE OF {columns} ON chargers FOR EACH ROW WHEN ({changed})"
)
LABELS = "OLD.labels IS DISTINCT FROM NEW.labels"
EXPIRY = "OLD.expires_at IS DISTINCT FROM NEW.expires_at"


def upgrade() -> None:
    op.execute(NOTE_LABELS)
    op.execute("DROP TRIGGER chargers_note_labels ON chargers")
    op.execute(
        NOTE.format(name="labels", columns="labels", changed=LABELS) + " EXECUTE FUNCTION note_labels()"
    )
    op.execute(
        NOTE.format(name="expiry", columns="expires_at", changed=EXPIRY) + " EXECUTE FUNCTION note_change()"
    )


def downgrade() -> None:
    op.execute("DROP TRIGGER chargers_note_expiry ON chargers")
    op.execute("DROP TRIGGER chargers_note_labels ON chargers")
    changed = f"({LABELS}) OR ({EXPIRY})"
    op.execute(
        NOTE.format(name="labels", columns="labels, expires_at", changed=changed)
        + " EXECUTE FUNCTION note_change()"
    )
    op.execute("DROP FUNCTION note_labels")
