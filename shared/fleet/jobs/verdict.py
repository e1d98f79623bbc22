"""Decide what a job does to a charger: a command, or nothing, and why."""

from collections.abc import Mapping

from shared.vocabulary import EventType, JobAction

#: The event type of the commands of a job.
EVENT_OF: Mapping[JobAction, EventType] = {
    JobAction.START: EventType.START_CHARGER,
    JobAction.STOP: EventType.STOP_CHARGER,
    JobAction.RESTART: EventType.RESET_CHARGER,
    JobAction.DELETE: EventType.DELETE_CHARGER,
}

#: Why an item is skipped: a sentence for each `reason_code`.
SKIPPED: Mapping[str, str] = {
    "deleted": "The charger was deleted",
    "newer_command": "The charger got a newer command after the job was accepted",
    "provisioning_failed": "The charger's provisioning failed: it has no runtime",
    "not_provisioned": "The charger is not provisioned yet: it has no runtime",
    "already_stopped": "The charger is stopped already",
    "already_running": "The charger runs already",
}

#: SQL that gives a key of SKIPPED; `record` for a new command; or `repeat` when the charger's newest command is open and
#: requests the same. It reads the rows `items`, `chargers` and `newest` (the charger's newest command) and :event_type.
#:
#: A charger that changed since the job was accepted is left alone, unless an older job changed it: the newest request wins,
#: and a job is as new as its acceptance. A newer job that found the charger as it requests has left a trace in its item only.
#: A deletion is not undone by a newer command.
VERDICT = """
    CASE
        WHEN chargers.id IS NULL OR chargers.deleted_at IS NOT NULL THEN 'deleted'
        WHEN :event_type = 'delete_charger' THEN 'record'
        WHEN chargers.generation > items.generation AND NOT coalesce(newest.job_id < items.job_id, false)
            OR EXISTS (
                SELECT FROM job_items AS newer
                WHERE newer.charger_id = chargers.id AND newer.job_id > items.job_id AND (
                    newer.result IN ('requested', 'succeeded', 'failed', 'superseded')
                    OR newer.reason_code IN ('newer_command', 'already_stopped', 'already_running')
                )
            )
            THEN 'newer_command'
        WHEN chargers.provisioning_status = 'FAILED' THEN 'provisioning_failed'
        WHEN chargers.provisioning_status <> 'READY' THEN 'not_provisioned'
        WHEN chargers.settled_generation < chargers.generation THEN
            CASE WHEN chargers.newest_event_type = :event_type THEN 'repeat' ELSE 'record' END
        WHEN chargers.drifted_at IS NOT NULL OR chargers.pending_count > 0 OR chargers.observed_at IS NULL THEN 'record'
        WHEN :event_type = 'stop_charger' AND chargers.desired_count = 0 AND chargers.running_count = 0
            THEN 'already_stopped'
        WHEN :event_type = 'start_charger' AND chargers.desired_count = 1 AND chargers.running_count > 0
            THEN 'already_running'
        ELSE 'record'
    END
"""
