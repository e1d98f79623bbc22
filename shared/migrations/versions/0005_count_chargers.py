"""Count each organization's chargers, so that nobody has to count a million rows for a page of them

Triggers keep the count in the transaction of the change, whoever makes it. A statement that makes or removes many
rows updates it once. The count's row is locked last, and only by what makes, deletes or restores chargers: starts
and stops do not touch it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

COUNT_STATEMENT = """
CREATE FUNCTION count_chargers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_counts AS counted (organization_id, chargers)
    SELECT organization_id, CASE TG_OP WHEN 'INSERT' THEN count(*) ELSE -count(*) END
    FROM changed WHERE deleted_at IS NULL GROUP BY organization_id ORDER BY organization_id
    ON CONFLICT (organization_id) DO UPDATE SET chargers = counted.chargers + excluded.chargers;
    RETURN NULL;
END $$
"""
COUNT_DELETED = """
CREATE FUNCTION count_deleted_charger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_counts AS counted (organization_id, chargers)
    VALUES (NEW.organization_id, CASE WHEN NEW.deleted_at IS NULL THEN 1 ELSE -1 END)
    ON CONFLICT (organization_id) DO UPDATE SET chargers = counted.chargers + excluded.chargers;
    RETURN NULL;
END $$
"""
COUNT_NONE = """
CREATE FUNCTION count_no_chargers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM charger_counts;
    RETURN NULL;
END $$
"""
TRIGGERS = (
    """
    CREATE TRIGGER chargers_count_new AFTER INSERT ON chargers
    REFERENCING NEW TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_chargers()
    """,
    """
    CREATE TRIGGER chargers_count_gone AFTER DELETE ON chargers
    REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION count_chargers()
    """,
    """
    CREATE TRIGGER chargers_count_deleted AFTER UPDATE OF deleted_at ON chargers
    FOR EACH ROW WHEN ((OLD.deleted_at IS NULL) <> (NEW.deleted_at IS NULL))
    EXECUTE FUNCTION count_deleted_charger()
    """,
    """
    CREATE TRIGGER chargers_count_none AFTER TRUNCATE ON chargers
    FOR EACH STATEMENT EXECUTE FUNCTION count_no_chargers()
    """,
)


def upgrade() -> None:
    op.create_table(
        "charger_counts",
        sa.Column("organization_id", sa.Text(), nullable=False),
        sa.Column("chargers", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("organization_id"),
    )
    op.execute("LOCK TABLE chargers IN SHARE ROW EXCLUSIVE MODE")
    for statement in (COUNT_STATEMENT, COUNT_DELETED, COUNT_NONE, *TRIGGERS):
        op.execute(statement)
    op.execute(
        "INSERT INTO charger_counts SELECT organization_id, count(*) FROM chargers"
        " WHERE deleted_at IS NULL GROUP BY organization_id"
    )


def downgrade() -> None:
    op.execute("DROP FUNCTION count_chargers, count_deleted_charger, count_no_chargers CASCADE")
    op.drop_table("charger_counts")
