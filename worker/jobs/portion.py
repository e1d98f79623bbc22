"""The statements of a job's portion. Their number does not depend on the number of chargers."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.fleet.jobs.verdict import EVENT_OF, SKIPPED, VERDICT
from shared.ids import new_command_id
from shared.models import Job
from shared.queues import TASK_OF, Message, TaskName, message
from shared.vocabulary import PUBLISH_GRACE, ItemResult, JobAction

Messages = list[tuple[TaskName, Message]]


class Portion(NamedTuple):
    """What recording a portion came to."""

    requested: int
    recorded: int  #: new commands among the requested
    skipped: int
    messages: (
        Messages  #: of the new commands and of deletions that precede them, to be published after the commit
    )
    failed: int = 0  #: without a command

    @property
    def items(self) -> int:
        return self.requested + self.final

    @property
    def final(self) -> int:
        return self.skipped + self.failed


class OpenCommands(NamedTuple):
    """The commands that bound the next portion."""

    of_job: int  #: recorded by the job and not yet accepted by ECS
    held: int  #: of those, held back by the rate budget
    of_organization: int  #: not final, counted up to a maximum


# Locks what is not locked by another transaction. The rest waits for the next portion.
_LOCK = text("""
WITH chosen AS MATERIALIZED (
    SELECT position, charger_id FROM job_items
    WHERE job_id = :job_id AND result = 'waiting' ORDER BY position LIMIT :max_rows
), locked AS MATERIALIZED (
    SELECT chargers.id FROM chosen JOIN chargers ON chargers.id = chosen.charger_id
    FOR NO KEY UPDATE OF chargers SKIP LOCKED
)
SELECT position FROM chosen
WHERE EXISTS (SELECT FROM locked WHERE id = chosen.charger_id)
    OR NOT EXISTS (SELECT FROM chargers WHERE id = chosen.charger_id)
ORDER BY position
""")

# A statement of its own: it sees the rows as they are under the locks. See record_commands in shared/fleet/commands.py and
# delete_charger in shared/fleet/chargers.py, which do the same for one charger.
_RECORD = text(f"""
WITH given AS (
    SELECT * FROM unnest(CAST(:positions AS integer[]), CAST(:command_ids AS uuid[])) AS given (position, new_id)
), judged AS MATERIALIZED (
    SELECT items.position, items.charger_id, given.new_id, chargers.newest_command_id, {VERDICT} AS verdict
    FROM given
    JOIN job_items AS items ON items.job_id = :job_id AND items.position = given.position
    LEFT JOIN chargers ON chargers.id = items.charger_id
    LEFT JOIN commands AS newest ON newest.id = chargers.newest_command_id
), changed AS (
    UPDATE chargers SET
        generation = generation + 1,
        desired_count = CASE WHEN :event_type IN ('stop_charger', 'delete_charger') THEN 0 ELSE 1 END,
        restart_generation = CASE :event_type WHEN 'reset_charger' THEN generation + 1 ELSE restart_generation END,
        deleted_at = CASE :event_type WHEN 'delete_charger' THEN now() END,
        observe_at = CASE WHEN :event_type <> 'delete_charger' THEN observe_at END,
        newest_command_id = new_id,
        newest_event_type = :event_type,
        attempts = 0,
        not_before = NULL,
        publish_at = now() + interval '{PUBLISH_GRACE.total_seconds():g} s'
    FROM judged WHERE chargers.id = judged.charger_id AND judged.verdict = 'record'
    RETURNING judged.position, chargers.id AS charger_id, organization_id, new_id, generation, desired_count
), recorded AS (
    INSERT INTO commands (
        id, charger_id, organization_id, event_type, requested_by, request_id, job_id, generation, status, attempts
    )
    SELECT
        new_id, charger_id, organization_id, :event_type, :requested_by, :request_id, :job_id, generation, 'queued', 0
    FROM changed
), noted AS (
    UPDATE job_items SET
        result = CASE WHEN verdict IN ('record', 'repeat') THEN 'requested' ELSE 'skipped' END,
        reason = CAST(:reasons AS jsonb) ->> verdict,
        reason_code = CASE WHEN verdict NOT IN ('record', 'repeat') THEN verdict END,
        command_id = CASE verdict WHEN 'record' THEN new_id WHEN 'repeat' THEN newest_command_id END,
        requested_at = CASE WHEN verdict IN ('record', 'repeat') THEN now() END,
        finished_at = CASE WHEN verdict NOT IN ('record', 'repeat') THEN now() END
    FROM judged WHERE job_items.job_id = :job_id AND job_items.position = judged.position
)
SELECT verdict, changed.charger_id, new_id AS command_id, generation, desired_count
FROM judged LEFT JOIN changed USING (position, new_id)
ORDER BY position
""")  # noqa: S608  # our own constants

_SETTLE = text("""
WITH ended AS (
    SELECT items.position, commands.status, commands.error, commands.finished_at
    FROM job_items AS items LEFT JOIN commands ON commands.id = items.command_id
    WHERE items.job_id = :job_id AND items.result = 'requested'
        AND (commands.id IS NULL OR commands.status IN ('succeeded', 'failed', 'superseded'))
), settled AS (
    UPDATE job_items SET
        result = coalesce(ended.status, :without_command),
        reason = CASE
            WHEN ended.status = 'failed' THEN coalesce(ended.error ->> 'message', 'The command failed')
            WHEN ended.status = 'superseded' THEN 'A newer command of the charger replaced it'
            WHEN ended.status IS NULL AND :without_command <> 'succeeded' THEN 'The charger was deleted meanwhile'
        END,
        reason_code = CASE WHEN ended.status = 'failed' THEN ended.error ->> 'code' END,
        finished_at = coalesce(ended.finished_at, now())
    FROM ended WHERE job_items.job_id = :job_id AND job_items.position = ended.position
    RETURNING job_items.result
)
SELECT result, count(*) FROM settled GROUP BY result
""")

# Not by its command, which a newer one of the charger may supersede: the item is about its provisioning.
_SETTLE_CREATED = text("""
WITH ended AS (
    SELECT
        items.position,
        CASE
            WHEN chargers.id IS NULL OR chargers.deleted_at IS NOT NULL THEN 'superseded'
            WHEN chargers.provisioning_status = 'READY' THEN 'succeeded'
            ELSE 'failed'
        END AS result,
        chargers.error, chargers.provisioned_at
    FROM job_items AS items LEFT JOIN chargers ON chargers.id = items.charger_id
    WHERE items.job_id = :job_id AND items.result = 'requested' AND (
        chargers.id IS NULL OR chargers.deleted_at IS NOT NULL OR chargers.provisioning_status IN ('READY', 'FAILED')
    )
), settled AS (
    UPDATE job_items SET
        result = ended.result,
        reason = CASE ended.result
            WHEN 'failed' THEN coalesce(ended.error ->> 'message', 'The provisioning failed')
            WHEN 'superseded' THEN 'The charger was deleted meanwhile'
        END,
        reason_code = CASE WHEN ended.result = 'failed' THEN ended.error ->> 'code' END,
        finished_at = coalesce(ended.provisioned_at, now())
    FROM ended WHERE job_items.job_id = :job_id AND job_items.position = ended.position
    RETURNING job_items.result
)
SELECT result, count(*) FROM settled GROUP BY result
""")

_OPEN = text("""
SELECT
    count(*) FILTER (WHERE commands.status = 'queued') AS of_job,
    count(*) FILTER (WHERE commands.status = 'queued' AND held_since IS NOT NULL) AS held,
    (
        SELECT count(*) FROM (
            SELECT FROM commands
            WHERE organization_id = :organization_id AND status IN ('queued', 'applied') LIMIT :max_rows
        ) AS open
    ) AS of_organization
FROM job_items AS items JOIN commands ON commands.id = items.command_id
WHERE items.job_id = :job_id AND items.result = 'requested'
""")

_CANCEL = text("""
WITH chosen AS (
    SELECT position FROM job_items WHERE job_id = :job_id AND result = 'waiting' ORDER BY position LIMIT :max_rows
), ended AS (
    UPDATE job_items SET result = 'cancelled', finished_at = now()
    FROM chosen WHERE job_items.job_id = :job_id AND job_items.position = chosen.position
    RETURNING job_items.position
)
SELECT count(*) FROM ended
""")


def record_portion(session: Session, job: Job, max_items: int) -> Portion:
    """Record the commands of up to `max_items` items that wait, and skip those that need none. The job is locked.

    Leaves out chargers that another transaction has locked.
    """
    positions = session.scalars(_LOCK, {"job_id": job.id, "max_rows": max_items}).all()
    event_type = EVENT_OF[JobAction(job.action)]
    rows = session.execute(
        _RECORD,
        {
            "job_id": job.id,
            "event_type": event_type.value,
            "requested_by": job.requested_by,
            "request_id": job.request_id,
            "positions": positions,
            "command_ids": [new_command_id() for _ in positions],
            "reasons": orjson.dumps(SKIPPED).decode(),
        },
    ).all()
    messages = [
        (
            TASK_OF[event_type],
            message(
                charger_id=row.charger_id,
                command_id=row.command_id,
                event_type=event_type,
                generation=row.generation,
                desired_count=row.desired_count,
            ),
        )
        for row in rows
        if row.charger_id is not None
    ]
    skipped = sum(row.verdict in SKIPPED for row in rows)
    return Portion(len(rows) - skipped, len(messages), skipped, messages)


def settle_items(session: Session, job: Job) -> Counter[ItemResult]:
    """Write the results of the items whose commands are final. Returns how many have which. The job is locked.

    Commands are removed with their charger: what deletes a charger has then succeeded.
    """
    if job.action == JobAction.CREATE:
        return _counted(session.execute(_SETTLE_CREATED, {"job_id": job.id}))
    removed = ItemResult.SUCCEEDED if job.action == JobAction.DELETE else ItemResult.SUPERSEDED
    return _counted(session.execute(_SETTLE, {"job_id": job.id, "without_command": removed.value}))


def count_open(session: Session, job: Job, max_items: int) -> OpenCommands:
    """The job's own commands that no worker has carried out yet, and the organization's open ones, counted up to `max_items`."""
    values = {"job_id": job.id, "organization_id": job.organization_id, "max_rows": max_items}
    return OpenCommands(*session.execute(_OPEN, values).one())


def _counted(rows: Iterable[Any]) -> Counter[ItemResult]:
    return Counter({ItemResult(result): number for result, number in rows})


def cancel_items(session: Session, job: Job, max_items: int) -> int:
    """End up to `max_items` items that wait. Returns how many. The job is locked."""
    return int(session.scalar(_CANCEL, {"job_id": job.id, "max_rows": max_items}) or 0)
