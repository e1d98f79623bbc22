"""Plan what a removal of chargers deletes each time

PostgreSQL keeps the plans of a trigger's statements for as long as a connection lasts. One that was made while the tables
were empty reads the whole table for each charger that is removed: 10,000 chargers took more than ten seconds. EXECUTE plans
each time, with the sizes of that moment.
"""

from alembic import op

revision = "0027"
down_revision = "0026"

TEXTS = "DELETE FROM charger_search USING changed WHERE charger_search.charger_id = changed.id"
EVENTS = "DELETE FROM charger_events USING removed WHERE charger_events.charger_id = removed.id"

REMOVE_TEXTS = """
CREATE OR REPLACE FUNCTION remove_search_texts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {delete};
    RETURN NULL;
END $$
"""
NOTE_REMOVED = """
CREATE OR REPLACE FUNCTION note_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    {delete};
    INSERT INTO charger_events (charger_id, organization_id, type, data)
    SELECT id, organization_id, 'removed', '{{}}' FROM removed;
    RETURN NULL;
END $$
"""


def upgrade() -> None:
    op.execute(REMOVE_TEXTS.format(delete=f"EXECUTE '{TEXTS}'"))
    op.execute(NOTE_REMOVED.format(delete=f"EXECUTE '{EVENTS}'"))


def downgrade() -> None:
    op.execute(REMOVE_TEXTS.format(delete=TEXTS))
    op.execute(NOTE_REMOVED.format(delete=EVENTS))
