"""Record that ECS accepted a desired state: the usual end of an attempt, as one statement."""

from sqlalchemy import text

from shared.database.engine import Sessions
from worker.reconcile.desired import DesiredState, log_change
from worker.reconcile.outcome import Applied

# In one round trip: the charger's row, its newest command, and the older ones, which are superseded.
# A rollout stays due until a worker with its spec has applied it.
_RECORD_APPLIED = text("""
    WITH applied AS (
        UPDATE chargers SET
            observed_generation = generation,
            service_status = :service_status,
            attempts = 0,
            not_before = NULL,
            publish_at = CASE WHEN drifted_at IS NOT NULL AND rollout_hash <> :rolled_out THEN publish_at END,
            drifted_at = CASE WHEN drifted_at IS NOT NULL AND rollout_hash <> :rolled_out THEN drifted_at END,
            observe_at = now(),
            provisioning_status = CASE
                WHEN provisioning_status IN ('PENDING', 'PROVISIONING') THEN 'PROVISIONING'
                ELSE provisioning_status
            END,
            step = CASE
                WHEN provisioning_status IN ('PENDING', 'PROVISIONING') THEN 'wait_until_running'
                ELSE step
            END
        WHERE id = :charger_id AND generation = :generation
        RETURNING id, generation
    ), newest AS (
        UPDATE commands SET
            status = 'applied',
            reason = NULL,
            attempts = attempts + 1,
            applied_at = now(),
            held_for = held_for + coalesce(now() - held_since, interval '0'),
            held_since = NULL
        FROM applied
        WHERE charger_id = applied.id AND commands.generation = applied.generation AND status = 'queued'
    ), older AS (
        UPDATE commands SET
            status = 'superseded',
            reason = NULL,
            held_for = held_for + coalesce(now() - held_since, interval '0'),
            held_since = NULL,
            finished_at = now()
        FROM applied
        WHERE charger_id = applied.id AND commands.generation < applied.generation
            AND status IN ('queued', 'applied')
    )
    SELECT id FROM applied
""")


def record_applied(sessions: Sessions, desired: DesiredState, applied: Applied) -> bool:
    """Write that ECS has the desired state, and close older commands. Safe to repeat.

    False, and nothing is written, when the row has moved to a newer generation or is gone.
    """
    values = {
        "charger_id": desired.id,
        "generation": desired.generation,
        "service_status": applied.view.status,
        "rolled_out": applied.rolled_out or "",
    }
    with sessions.autocommit.connect() as connection:
        recorded = connection.execute(_RECORD_APPLIED, values).one_or_none()
    if recorded is None:
        return False
    event = "command.applied"
    if desired.drifted_at is not None:
        event = "charger.repaired" if desired.rollout_hash is None else "charger.redeployed"
    log_change(desired, event, desired_count=desired.desired_count)
    return True
