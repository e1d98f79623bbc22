"""Fill what lists of chargers are filtered, sorted and searched by, while the service runs

No statement keeps clients waiting: rows are filled 2,000 at a time, indexes are built concurrently, and what needs the
whole table for a moment gives up after the lock timeout. After an interruption a repeat goes on where this one stopped.

The first 0006 made `list_group` a generated column and filled everything itself. Here such a database gets the same
schema as all others.
"""

from time import sleep

import sqlalchemy as sa
from alembic import op

from shared.migrations.indexes import build_index

revision = "0011"
down_revision = "0010"

BATCH = 2000  # chargers that one statement locks: it takes tenths of a second
PAUSE_S = 0.2  # before the next try for rows that others had locked

GROUP = """list_group(
    {row}.provisioning_status,
    observed_state({row}.desired_count, {row}.running_count, {row}.pending_count, {row}.observed_at),
    {row}.ocpp_state, {row}.ocpp_version, {row}.brand_slug, {row}.model_slug
)"""
SET_GROUP = f"""
CREATE OR REPLACE FUNCTION set_list_group() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.list_group := {GROUP.format(row="NEW")};
    RETURN NEW;
END $$
"""
KEEP_GROUP = f"""
CREATE OR REPLACE TRIGGER chargers_list_group BEFORE INSERT OR UPDATE ON chargers
FOR EACH ROW WHEN (NEW.list_group IS DISTINCT FROM {GROUP.format(row="NEW")}) EXECUTE FUNCTION set_list_group()
"""
# Whoever fills the group of a charger, a client's change or this migration, adds its text too.
FILL_TEXT = """
CREATE OR REPLACE TRIGGER chargers_search_fill AFTER UPDATE ON chargers
FOR EACH ROW WHEN (OLD.list_group IS NULL) EXECUTE FUNCTION change_search_text()
"""
FILL = sa.text(f"""
WITH batch AS (
    SELECT id FROM chargers WHERE id > :after AND list_group IS NULL
    ORDER BY id LIMIT {BATCH} FOR NO KEY UPDATE SKIP LOCKED
), filled AS (
    UPDATE chargers SET list_group = {GROUP.format(row="chargers")} FROM batch
    WHERE chargers.id = batch.id RETURNING chargers.id
)
SELECT max(id) FROM filled
""")  # noqa: S608  # our own words
IS_LEFT = sa.text("SELECT EXISTS (SELECT FROM chargers WHERE list_group IS NULL)")

INDEXES = {
    "chargers_group": "chargers (organization_id, list_group, id) WHERE deleted_at IS NULL",
    "chargers_group_identity": "chargers (organization_id, list_group, identity) WHERE deleted_at IS NULL",
    "chargers_group_since": (
        "chargers (organization_id, list_group, observed_since, id) WHERE deleted_at IS NULL"
    ),
    "charger_search_organization": "charger_search (organization_id)",
    # A search reads the whole pending list, so it is kept short (in kB; the default is 4 MB).
    "charger_search_grams": (
        "charger_search USING gin (search_grams(organization_id, content)) WITH (gin_pending_list_limit = 64)"
    ),
}

# PostgreSQL takes a valid constraint for a proof, and does not read the table for SET NOT NULL.
FORBID_NULL = (
    "ALTER TABLE chargers DROP CONSTRAINT IF EXISTS chargers_list_group_filled",
    "ALTER TABLE chargers ADD CONSTRAINT chargers_list_group_filled CHECK (list_group IS NOT NULL) NOT VALID",
    "ALTER TABLE chargers VALIDATE CONSTRAINT chargers_list_group_filled",
    "ALTER TABLE chargers ALTER COLUMN list_group SET NOT NULL",
    "ALTER TABLE chargers DROP CONSTRAINT chargers_list_group_filled",
)


def upgrade() -> None:
    op.execute("LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE")
    op.execute("ALTER TABLE chargers ALTER COLUMN list_group DROP EXPRESSION IF EXISTS")
    for statement in (SET_GROUP, KEEP_GROUP, FILL_TEXT):
        op.execute(statement)
    with op.get_context().autocommit_block():
        fill(op.get_bind())
        for name, definition in INDEXES.items():
            build_index(op.get_bind(), name, definition)
        for statement in FORBID_NULL:
            op.execute(statement)
    op.execute("DROP TRIGGER chargers_search_fill ON chargers")


def fill(connection: sa.Connection) -> None:
    """Fill what is empty. A row that somebody else has locked is passed over until it is free."""
    after = ""
    while True:
        last = connection.scalar(FILL, {"after": after})
        if last is not None:
            after = last
        elif connection.scalar(IS_LEFT):
            after = ""
            sleep(PAUSE_S)
        else:
            return


def downgrade() -> None:
    op.execute("DROP FUNCTION set_list_group CASCADE")
    op.execute("ALTER TABLE chargers DROP COLUMN list_group, ADD COLUMN list_group bigint")
    op.execute("DROP INDEX charger_search_organization, charger_search_grams")
