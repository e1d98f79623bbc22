"""Mutations of how the API records actions."""

from tests.faults.core_mutations import Mutation

RECORD = "shared/fleet/actions/record.py"
PERFORM = "api/routes/perform.py"

ACTION_MUTATIONS = (
    Mutation(
        "the event of an action does not wait for an earlier one",
        "shared/migrations/versions/0024_order_events_by_transaction.py",
        "    PERFORM FROM chargers WHERE id IN (SELECT charger_id FROM changed {final}) ORDER BY id FOR NO KEY UPDATE;\n",
        "",
    ),
    Mutation(
        "an action is recorded for a charger of another organization",
        RECORD,
        "WHERE organization_id = :organization_id AND deleted_at",
        "WHERE :organization_id <> '' AND deleted_at",
    ),
    Mutation(
        "an action is queued for a charger that is not connected",
        RECORD,
        "WHEN NOT connected THEN",
        "WHEN false THEN",
    ),
    Mutation(
        "a repeat with a key records its actions again",
        PERFORM,
        "receipt = found or record_actions(session, request)",
        "receipt = record_actions(session, request)",
    ),
    Mutation(
        "the secret of an action is stored as it came",
        PERFORM,
        "        event=masked,\n",
        "        event=dict(event),\n",
    ),
    Mutation(
        "the link gets no hint about an action",
        PERFORM,
        "        resources().hints.give()\n",
        "        pass\n",
    ),
    Mutation(
        "a list shows the actions of another organization",
        "shared/fleet/actions/read.py",
        "Action.organization_id == organization_id, Charger.deleted_at",
        "Charger.deleted_at",
    ),
)
