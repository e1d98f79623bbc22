"""Delete many chargers in one statement.

`delete_charger` in shared/fleet/chargers.py is the plain way and the specification; a property test compares the two.
"""

from collections.abc import Sequence

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.fleet.receipts import CommandReceipt
from shared.ids import new_command_id
from shared.vocabulary import PUBLISH_GRACE, EventType


def record_deletions(
    session: Session, charger_ids: Sequence[str], *, requested_by: str, request_id: str | None
) -> list[CommandReceipt]:
    """Hide the chargers from clients, and record a command for each. Returns the receipts, in the order of the ids.

    The caller has chosen the chargers, through their organization where a client names them, and has locked their rows in
    this transaction: in id order, or those that no other transaction has locked (shared/fleet/locking.py). Leaves out
    chargers that are deleted already. Publishing the receipts' messages is the caller's last step, after the commit.
    """
    rows = session.execute(
        _RECORD_DELETIONS,
        {
            "charger_ids": list(charger_ids),
            "command_ids": [new_command_id() for _ in charger_ids],
            "event_type": EventType.DELETE_CHARGER.value,
            "requested_by": requested_by,
            "request_id": request_id,
        },
    )
    return [CommandReceipt(**row) for row in rows.mappings()]


_RECORD_DELETIONS = text(f"""
WITH given AS (
    SELECT * FROM unnest(CAST(:charger_ids AS text[]), CAST(:command_ids AS uuid[])) WITH ORDINALITY
        AS given (charger_id, command_id, position)
), changed AS (
    UPDATE chargers SET
        deleted_at = now(),
        desired_count = 0,
        observe_at = NULL,
        generation = generation + 1,
        newest_command_id = command_id,
        newest_event_type = :event_type,
        attempts = 0,
        not_before = NULL,
        publish_at = now() + interval '{PUBLISH_GRACE.total_seconds():g} s'
    FROM given WHERE chargers.id = given.charger_id AND chargers.deleted_at IS NULL
    RETURNING given.*, organization_id, identity, ocpp_version, generation, desired_count, service_status,
        provisioning_status, workflow_run_id
), recorded AS (
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, requested_by, request_id, generation, status, attempts
    )
    SELECT
        command_id, charger_id, organization_id, :event_type, :requested_by, :request_id, generation, 'queued', 0
    FROM changed
)
SELECT
    charger_id, identity, ocpp_version, CAST(:event_type AS text) AS event_type, command_id, generation, desired_count,
    service_status, provisioning_status, workflow_run_id
FROM changed ORDER BY position
""")  # noqa: S608  # our own constant
