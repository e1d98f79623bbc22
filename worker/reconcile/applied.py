"""Record that ECS, or a host's row, has a desired state: the usual end of an attempt, as one statement for any number."""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from worker.reconcile.desired import DesiredState, log_change

# In one round trip: the chargers' rows, their newest commands, and the older ones, which are superseded.
# A rollout stays due until a worker with its spec has applied it.
_RECORD_APPLIED = text("""
    WITH given AS (
        SELECT * FROM unnest(CAST(:charger_ids AS text[]), CAST(:generations AS integer[])) AS given (id, generation)
    ), applied AS (
        UPDATE chargers SET
            observed_generation = given.generation,
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
        FROM given
        WHERE chargers.id = given.id AND chargers.generation = given.generation
            AND chargers.id = ANY(CAST(:charger_ids AS text[]))
        RETURNING chargers.id, chargers.generation
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


def record_applied(
    connection: Connection,
    desired: Sequence[DesiredState],
    service_status: str,
    rolled_out: str | None = None,
) -> set[str]:
    """Write that these desired states are applied, and close older commands. Safe to repeat.

    Returns the chargers for which it is written. The rows of the others have moved to a newer generation, or are gone.
    """
    values = {
        "charger_ids": [each.id for each in desired],
        "generations": [each.generation for each in desired],
        "service_status": service_status,
        "rolled_out": rolled_out or "",
    }
    return set(connection.scalars(_RECORD_APPLIED, values))


def log_applied(desired: DesiredState) -> None:
    """Write the line for it, after the commit."""
    event = "command.applied"
    if desired.drifted_at is not None:
        event = "charger.repaired" if desired.rollout_hash is None else "charger.redeployed"
    log_change(desired, event, desired_count=desired.desired_count)
