"""Point chargers at locations

Until now `location_id` was a free text. Each text that is in use becomes a location, with the `location_name` of one of its
chargers as its name; from now on a charger's location must exist. The release before this one does not know locations and
goes on while this migration runs: a trigger makes the location of a text that it writes. The next release drops the trigger.
"""

import sqlalchemy as sa
from alembic import op

from shared.migrations.indexes import build_index

revision = "0030"
down_revision = "0029"

MAKE = """
CREATE OR REPLACE FUNCTION make_location_of_charger() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO locations (organization_id, id, name)
    VALUES (NEW.organization_id, NEW.location_id, coalesce(NEW.location_name, NEW.location_id))
    ON CONFLICT DO NOTHING;
    RETURN NEW;
END $$
"""
KEEP = """
CREATE OR REPLACE TRIGGER chargers_make_location BEFORE INSERT OR UPDATE OF location_id ON chargers
FOR EACH ROW WHEN (NEW.location_id IS NOT NULL) EXECUTE FUNCTION make_location_of_charger()
"""
# Reads all chargers once, and locks none of them.
FILL = """
INSERT INTO locations (organization_id, id, name)
SELECT organization_id, location_id, coalesce(max(location_name), location_id) FROM chargers
WHERE location_id IS NOT NULL GROUP BY organization_id, location_id
ON CONFLICT DO NOTHING
"""
REFER = (
    "ALTER TABLE chargers DROP CONSTRAINT IF EXISTS chargers_location_exists",
    """
    ALTER TABLE chargers ADD CONSTRAINT chargers_location_exists FOREIGN KEY (organization_id, location_id)
    REFERENCES locations (organization_id, id) NOT VALID
    """,
    "ALTER TABLE chargers VALIDATE CONSTRAINT chargers_location_exists",
)
COUNTED = (
    "chargers (organization_id, location_id, list_group) WHERE deleted_at IS NULL AND location_id IS NOT NULL"
)


def upgrade() -> None:
    op.execute("LOCK TABLE chargers IN SHARE ROW EXCLUSIVE MODE")
    op.execute(MAKE)
    op.execute(KEEP)
    with op.get_context().autocommit_block():
        op.execute(FILL)
        for statement in REFER:
            op.execute(sa.text(statement))
        build_index(op.get_bind(), "chargers_location_group", COUNTED)


def downgrade() -> None:
    op.execute("ALTER TABLE chargers DROP CONSTRAINT chargers_location_exists")
    op.execute("DROP FUNCTION make_location_of_charger CASCADE")
    op.execute("DROP INDEX chargers_location_group")
