"""Find chargers by their labels, and note a change of labels and of the time when a charger goes away

`charger_labels` holds the labels apart from the chargers, as `charger_search` holds their texts: PostgreSQL writes an entry
into every index of a row at most updates, and a charger is updated at every command, its labels hardly ever. No charger has
a label before this migration, so there is nothing to fill.
"""

import sqlalchemy as sa
from alembic import op

revision = "0029"
down_revision = "0028"

# EXECUTE plans each time, with the sizes of that moment: see 0027.
ADD = """
INSERT INTO charger_labels (charger_id, organization_id, name, value)
SELECT id, organization_id, label.key, label.value FROM {rows}, jsonb_each_text(labels) AS label
WHERE deleted_at IS NULL
"""
FUNCTIONS = (
    f"""
    CREATE FUNCTION add_labels() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        {ADD.format(rows="changed")};
        RETURN NULL;
    END $$
    """,
    f"""
    CREATE FUNCTION change_labels() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'DELETE FROM charger_labels WHERE charger_id = $1' USING OLD.id;
        {ADD.format(rows="(SELECT NEW.*) AS changed")};
        RETURN NULL;
    END $$
    """,  # noqa: S608  # our own words
    """
    CREATE FUNCTION remove_labels() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        EXECUTE 'DELETE FROM charger_labels USING changed WHERE charger_labels.charger_id = changed.id';
        RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION remove_all_labels() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        DELETE FROM charger_labels;
        RETURN NULL;
    END $$
    """,
)
# They name their columns, and a charger without labels costs no more than a comparison.
TRIGGERS = (
    """
    CREATE TRIGGER chargers_labels_new AFTER INSERT ON chargers
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION add_labels()
    """,
    """
    CREATE TRIGGER chargers_labels_changed AFTER UPDATE OF labels, deleted_at ON chargers
    FOR EACH ROW WHEN (
        (OLD.labels, OLD.deleted_at IS NULL) IS DISTINCT FROM (NEW.labels, NEW.deleted_at IS NULL)
        AND (OLD.labels <> '{}' OR NEW.labels <> '{}')
    ) EXECUTE FUNCTION change_labels()
    """,
    """
    CREATE TRIGGER chargers_labels_gone AFTER DELETE ON chargers
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION remove_labels()
    """,
    """
    CREATE TRIGGER chargers_labels_none AFTER TRUNCATE ON chargers
    FOR EACH STATEMENT EXECUTE FUNCTION remove_all_labels()
    """,
    """
    CREATE TRIGGER chargers_note_labels AFTER UPDATE OF labels, expires_at ON chargers
    FOR EACH ROW WHEN (
        (OLD.labels, OLD.expires_at) IS DISTINCT FROM (NEW.labels, NEW.expires_at)
    ) EXECUTE FUNCTION note_change()
    """,
)


def upgrade() -> None:
    op.create_table(
        "charger_labels",
        sa.Column("charger_id", sa.Text(), primary_key=True),
        sa.Column("name", sa.Text(), primary_key=True),
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
    )
    op.create_index(
        "charger_labels_value", "charger_labels", ["organization_id", "name", "value", "charger_id"]
    )
    for statement in (*FUNCTIONS, *TRIGGERS):
        op.execute(statement)


def downgrade() -> None:
    op.execute("DROP TRIGGER chargers_note_labels ON chargers")
    op.execute("DROP FUNCTION add_labels, change_labels, remove_labels, remove_all_labels CASCADE")
    op.drop_table("charger_labels")
