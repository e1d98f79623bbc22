"""Order the events of an organization, and note all that lists show of a charger

The ids of events grow in the order of commits within one charger only. A reader of a whole organization that goes on
after the highest id would miss the events of a transaction that commits late. So each event has the id of its
transaction, and its organization: below the oldest transaction that is still open, nothing can appear any more.

Events no longer refer to their charger's row, so the last one, `removed`, remains when that is gone. The trigger that
writes it deletes the others, as the foreign key did.

New types beside `removed`: `changed` (a name, a place, a setting, a reason) and `attempt` (what a command waits for).
The release before this one reads events by column and passes over types that it does not know.
"""

from alembic import op

from shared.migrations.indexes import build_index

revision = "0024"
down_revision = "0023"

COLUMNS = (
    "LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE",
    """
    ALTER TABLE charger_events
    ADD COLUMN IF NOT EXISTS organization_id text,
    ADD COLUMN IF NOT EXISTS xid bigint,
    DROP CONSTRAINT IF EXISTS charger_events_charger_id_fkey
    """,
    # Not with the column: a default that is not constant would rewrite the table.
    "ALTER TABLE charger_events ALTER COLUMN xid SET DEFAULT pg_current_xact_id()::text::bigint",
)
DATA = {
    "command": """jsonb_build_object(
        'id', NEW.id, 'event_type', NEW.event_type, 'generation', NEW.generation, 'status', NEW.status,
        'error', NEW.error
    )""",
    "status": """jsonb_build_object(
        'status', NEW.provisioning_status, 'error', NEW.error, 'desired_count', NEW.desired_count,
        'running_count', NEW.running_count, 'pending_count', NEW.pending_count,
        'reason', NEW.reason, 'reason_code', NEW.reason_code
    )""",
    "ocpp": "jsonb_build_object('state', NEW.ocpp_state, 'reason', NEW.ocpp_reason, 'since', NEW.ocpp_since)",
    "attempt": "'{}'",
    "changed": "'{}'",
}
NOTE = """
CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO charger_events (charger_id, {organization} type, data)
    VALUES (NEW.{charger_id}, {of_organization} '{type}', {data});
    RETURN NULL;
END $$
"""
#: The name of a function, the type of its events, and the column that has the charger's id.
NOTES = (
    ("command", "command", "charger_id"),
    ("status", "status", "id"),
    ("link", "ocpp", "id"),
)
NEW_NOTES = (("attempt", "attempt", "charger_id"), ("change", "changed", "id"))
ACTIONS = """
CREATE OR REPLACE FUNCTION note_{name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM chargers WHERE id IN (SELECT charger_id FROM changed {final}) ORDER BY id FOR NO KEY UPDATE;
    INSERT INTO charger_events (charger_id, {organization} type, data)
    SELECT charger_id, {organization} 'action', jsonb_build_object(
        'id', id::text, 'event_type', name, 'status', status, 'reason', reason, 'reason_code', reason_code,
        'result', result
    ) FROM changed {final} {newly} ORDER BY id;
    RETURN NULL;
END $$
"""
NEWLY_FINAL = """
    AND NOT EXISTS (SELECT FROM before WHERE before.id = changed.id AND before.finished_at IS NOT NULL)
"""
NOTE_REMOVED = """
CREATE OR REPLACE FUNCTION note_removed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM charger_events USING removed WHERE charger_events.charger_id = removed.id;
    INSERT INTO charger_events (charger_id, organization_id, type, data)
    SELECT id, organization_id, 'removed', '{}' FROM removed;
    RETURN NULL;
END $$
"""
# They name their columns, so that recording a command, which sets none of these, costs no comparison.
TRIGGERS = (
    """
    CREATE OR REPLACE TRIGGER commands_note_attempt AFTER UPDATE OF attempts, held_since, reason ON commands
    FOR EACH ROW WHEN (
        OLD.status = NEW.status
        AND (OLD.attempts, OLD.held_since, OLD.reason) IS DISTINCT FROM (NEW.attempts, NEW.held_since, NEW.reason)
    ) EXECUTE FUNCTION note_attempt()
    """,
    # Without what `chargers_note_status` notes.
    """
    CREATE OR REPLACE TRIGGER chargers_note_change AFTER UPDATE OF
        name, location_id, location_name, ws_url, ocpp_version, connector_type, number_of_connectors,
        vendor_name, model, image_url, max_charging_power, brand_slug, model_slug, error, reason, observed_at
    ON chargers FOR EACH ROW WHEN (
        (OLD.provisioning_status, OLD.running_count, OLD.pending_count, OLD.reason_code)
        IS NOT DISTINCT FROM
        (NEW.provisioning_status, NEW.running_count, NEW.pending_count, NEW.reason_code)
        AND (
            OLD.name, OLD.location_id, OLD.location_name, OLD.ws_url, OLD.ocpp_version, OLD.connector_type,
            OLD.number_of_connectors, OLD.vendor_name, OLD.model, OLD.image_url, OLD.max_charging_power,
            OLD.brand_slug, OLD.model_slug, OLD.error, OLD.reason, OLD.observed_at IS NULL
        ) IS DISTINCT FROM (
            NEW.name, NEW.location_id, NEW.location_name, NEW.ws_url, NEW.ocpp_version, NEW.connector_type,
            NEW.number_of_connectors, NEW.vendor_name, NEW.model, NEW.image_url, NEW.max_charging_power,
            NEW.brand_slug, NEW.model_slug, NEW.error, NEW.reason, NEW.observed_at IS NULL
        )
    ) EXECUTE FUNCTION note_change()
    """,
    """
    CREATE OR REPLACE TRIGGER chargers_note_removed AFTER DELETE ON chargers
    REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION note_removed()
    """,
)
INDEX = "charger_events (organization_id, xid, id)"


def functions(*, with_organization: bool) -> list[str]:
    """The functions that 0004 and 0020 made: with the column, or as they were."""
    organization = "organization_id," if with_organization else ""
    of_organization = "NEW.organization_id," if with_organization else ""
    notes = (*NOTES, *NEW_NOTES) if with_organization else NOTES
    final = "WHERE finished_at IS NOT NULL"
    return [
        *(
            NOTE.format(
                name=name,
                type=type_,
                charger_id=charger_id,
                data=DATA[type_],
                organization=organization,
                of_organization=of_organization,
            )
            for name, type_, charger_id in notes
        ),
        ACTIONS.format(name="actions", organization=organization, final="", newly=""),
        ACTIONS.format(name="final_actions", organization=organization, final=final, newly=NEWLY_FINAL),
    ]


def upgrade() -> None:
    """Safe to repeat: what comes before the index is committed when its build begins."""
    for statement in (*COLUMNS, *functions(with_organization=True), NOTE_REMOVED, *TRIGGERS):
        op.execute(statement)
    with op.get_context().autocommit_block():
        build_index(op.get_bind(), "charger_events_organization", INDEX)


def downgrade() -> None:
    op.execute("DROP FUNCTION note_attempt, note_change, note_removed CASCADE")
    for statement in functions(with_organization=False):
        op.execute(statement)
    op.execute("DELETE FROM charger_events WHERE type IN ('attempt', 'changed', 'removed')")
    op.execute("DROP INDEX charger_events_organization")
    op.execute(
        "ALTER TABLE charger_events DROP COLUMN xid, DROP COLUMN organization_id,"
        " ADD CONSTRAINT charger_events_charger_id_fkey FOREIGN KEY (charger_id) REFERENCES chargers ON DELETE CASCADE"
    )
