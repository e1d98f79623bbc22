"""Record what hosts said of their chargers, which the control link has written, and finish their commands.

A host says what is so now, in the database: no answer can be older than the rows, and none has to be seen twice. A charger on
a host never drifts, because the link repeats the newest generation until its host has answered it.
"""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.error_codes import ErrorCode
from shared.fleet.locking import lock_chargers
from shared.models import Charger
from shared.settings import Timing
from shared.vocabulary import ProvisioningStatus
from worker.hosts.decide import leave
from worker.hosts.release import lock_left_hosts, release_ended
from worker.hosts.standing import HOST_SQL, RUNS_SQL, UNKNOWN_SQL
from worker.observe.due import ON_HOST_EVERY_S
from worker.observe.observation import Observation
from worker.observe.reasons import Reason
from worker.observe.settle import fail_if_late

log = structlog.get_logger(__name__)

PORTION = 200  # chargers in one transaction, which locks their rows for some milliseconds


def observe_news(sessions: Sessions, timing: Timing) -> int:
    """Record the news of chargers on hosts: what was said, and of which hosts nothing is heard any more.

    Returns how many the sweep must publish. Safe to repeat; concurrent runs share the work.
    """
    to_publish, claimed = 0, PORTION
    while claimed == PORTION:
        with sessions.begin() as session:
            charger_ids = session.scalars(_UNNOTED, {"limit": PORTION}).all()
            charger_ids = charger_ids or session.scalars(_CHANGED, {"limit": PORTION}).all()
            claimed = len(charger_ids)
            to_publish += _record(session, timing, charger_ids)
    return to_publish


def observe_on_hosts(sessions: Sessions, timing: Timing, charger_ids: Sequence[str]) -> int:
    """Record what is known of these chargers now. Returns how many the sweep must publish. Safe to repeat."""
    to_publish = 0
    for start in range(0, len(charger_ids), PORTION):
        some = charger_ids[start : start + PORTION]
        with sessions.begin() as session:
            lock_chargers(session, some)
            to_publish += _record(session, timing, some)
            to_publish += len(session.scalars(_REPLACE, {"charger_ids": list(some)}).all())
    return to_publish


def _record(session: Session, timing: Timing, charger_ids: Collection[str]) -> int:
    """The chargers' rows must be locked. Returns how many the sweep must publish."""
    if not charger_ids:
        return 0
    given = {"charger_ids": list(charger_ids)}
    leaving = lock_left_hosts(session, charger_ids)
    session.execute(_NOTE, given)
    for row in session.execute(_RECORD, given | {"again_after": timedelta(seconds=ON_HOST_EVERY_S)}):
        log.info(
            "command.succeeded",
            charger_id=row.charger_id,
            command_id=str(row.command_id),
            event_type=row.event_type,
            generation=row.generation,
            request_id=row.request_id,
        )
    deadlines = {
        "deadline": timedelta(seconds=timing.command_deadline_s),
        "provisioning_deadline": timedelta(seconds=timing.provisioning_deadline_s),
    }
    for charger_id, at in session.execute(_LATE, given | deadlines).all():
        _fail(session, timing, session.get_one(Charger, charger_id, populate_existing=True), at)
    return len(release_ended(session, leaving))


def _fail(session: Session, timing: Timing, charger: Charger, at: datetime) -> None:
    """Fail the command that is too late. A charger that never ran is off then, and leaves its host."""
    reason = Reason(ErrorCode(charger.reason_code), charger.reason or "") if charger.reason_code else None
    fail_if_late(session, timing, charger, Observation(charger, None, None, reason, at, link_in_doubt=False))
    session.flush()
    if charger.provisioning_status == ProvisioningStatus.FAILED:
        leave(session.connection(), charger.id, charger.generation)


# The chargers are claimed, as by an observation of ECS: those that another transaction has locked are left to the next run.
_UNNOTED = text("""
SELECT chargers.id FROM host_chargers JOIN chargers ON chargers.id = host_chargers.charger_id
WHERE NOT host_chargers.noted
ORDER BY host_chargers.seen_at LIMIT :limit
FOR NO KEY UPDATE OF chargers SKIP LOCKED
""")
# Nothing is written when a host falls silent, or when one that fell silent connects again. One whose connection lasted is
# found by the next observation of its chargers.
_CHANGED = text(f"""
SELECT chargers.id FROM host_chargers {HOST_SQL} JOIN chargers ON chargers.id = host_chargers.charger_id
WHERE (silent OR held.connected_at > now() - interval '60 s') AND chargers.deleted_at IS NULL AND (
    chargers.observed_at IS NULL AND chargers.observed_generation > 0 AND NOT {UNKNOWN_SQL}
    OR chargers.observed_at IS NOT NULL AND {UNKNOWN_SQL}
    OR chargers.running_count = 1 AND NOT {UNKNOWN_SQL} AND NOT {RUNS_SQL}
)
ORDER BY chargers.id LIMIT :limit
FOR NO KEY UPDATE OF chargers SKIP LOCKED
""")  # noqa: S608 - our own words
# A host may end a charger after the command that was to place it anew has failed, or a move to a service of its own may have
# failed: then no worker would go on.
_REPLACE = text("""
UPDATE chargers SET drifted_at = now(), publish_at = now()
WHERE id = ANY(:charger_ids) AND (
        placement = 'shared' AND host_id IS NULL AND desired_count = 1
        OR placement = 'dedicated' AND host_id IS NOT NULL AND provisioning_status <> 'FAILED'
    )
    AND deleted_at IS NULL AND publish_at IS NULL AND observed_generation >= generation
RETURNING id
""")
# Locks all rows that the transaction may change, in the order in which the link does: those of commands that may be too late,
# and of chargers that may be released.
_NOTE = text("""
WITH mine AS MATERIALIZED (
    SELECT host_chargers.charger_id, noted FROM host_chargers JOIN chargers ON chargers.id = host_chargers.charger_id
    WHERE host_chargers.charger_id = ANY(:charger_ids)
        AND (NOT noted OR leaving OR chargers.settled_generation < chargers.generation)
    ORDER BY host_chargers.charger_id FOR NO KEY UPDATE OF host_chargers
)
UPDATE host_chargers SET noted = true FROM mine WHERE host_chargers.charger_id = mine.charger_id AND NOT mine.noted
""")
_RECORD = text(f"""
WITH heard AS MATERIALIZED (
    SELECT
        chargers.id, chargers.generation, chargers.newest_command_id,
        chargers.settled_generation < chargers.generation AS is_open,
        chargers.provisioning_status IN ('PENDING', 'PROVISIONING') AS is_new,
        chargers.not_before IS NOT NULL OR chargers.provisioning_status = 'FAILED' AS keeps_reason,
        clock_timestamp() AS at,
        {UNKNOWN_SQL} AS unknown,
        {RUNS_SQL} AS runs,
        host_chargers.seen_generation >= chargers.generation AS is_newest,
        hosts.id || '/' || host_chargers.boot_id AS task,
        chargers.observed_generation >= chargers.generation AND chargers.drifted_at IS NULL
            AND host_chargers.seen_generation >= chargers.generation AND NOT leaving
            AND NOT {UNKNOWN_SQL} AND {RUNS_SQL} = (chargers.desired_count = 1) AS is_as_desired,
        CASE
            WHEN {UNKNOWN_SQL} THEN
                'The host ' || hosts.id || ' has not been heard of since '
                || to_char(heard_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
            WHEN {RUNS_SQL} OR chargers.desired_count = 0 THEN NULL
            WHEN down THEN COALESCE(hosts.reason, 'The host ' || hosts.id || ' is starting')
            ELSE host_chargers.fault
        END AS reason,
        CASE
            WHEN {UNKNOWN_SQL} OR {RUNS_SQL} OR chargers.desired_count = 0 THEN NULL
            WHEN down THEN hosts.reason_code
            WHEN host_chargers.fault IS NOT NULL THEN '{ErrorCode.TASK_EXITED}'
        END AS reason_code
    FROM host_chargers {HOST_SQL} JOIN chargers ON chargers.id = host_chargers.charger_id
    WHERE host_chargers.charger_id = ANY(:charger_ids) AND chargers.deleted_at IS NULL
), recorded AS (
    UPDATE chargers SET
        observed_at = CASE WHEN NOT unknown THEN at END,
        observe_at = CASE WHEN unknown THEN LEAST(observe_at, at + :again_after) ELSE observe_at END,
        running_count = CASE WHEN unknown THEN running_count WHEN runs THEN 1 ELSE 0 END,
        pending_count = 0,
        running_task_arn = CASE WHEN runs THEN task ELSE running_task_arn END,
        running_since = CASE WHEN runs AND running_task_arn IS DISTINCT FROM task THEN at ELSE running_since END,
        running_task_seen_at = CASE WHEN runs THEN at ELSE running_task_seen_at END,
        running_task_ended_at = CASE
            WHEN runs THEN NULL
            WHEN unknown OR running_task_arn IS NULL THEN running_task_ended_at
            ELSE COALESCE(running_task_ended_at, at)
        END,
        running_task_generation = CASE
            WHEN runs AND is_newest THEN chargers.generation ELSE running_task_generation
        END,
        reason = CASE WHEN keeps_reason THEN chargers.reason ELSE heard.reason END,
        reason_code = CASE WHEN keeps_reason THEN chargers.reason_code ELSE heard.reason_code END,
        settled_generation = CASE WHEN is_as_desired THEN chargers.generation ELSE settled_generation END,
        provisioning_status = CASE WHEN is_as_desired AND is_new THEN 'READY' ELSE provisioning_status END,
        provisioned_at = CASE WHEN is_as_desired AND is_new THEN at ELSE provisioned_at END,
        step = CASE WHEN is_as_desired AND is_new THEN NULL ELSE step END
    FROM heard WHERE chargers.id = heard.id
)
UPDATE commands SET status = 'succeeded', finished_at = clock_timestamp()
FROM heard
WHERE heard.is_as_desired AND heard.is_open AND commands.id = heard.newest_command_id AND commands.status = 'applied'
RETURNING commands.charger_id, commands.id AS command_id, commands.event_type, commands.generation, commands.request_id
""")  # noqa: S608 - our own words
_LATE = text("""
SELECT chargers.id, clock_timestamp() AS at
FROM chargers JOIN commands ON commands.id = chargers.newest_command_id
WHERE chargers.id = ANY(:charger_ids) AND chargers.deleted_at IS NULL
    AND chargers.settled_generation < chargers.generation
    AND chargers.observed_generation >= chargers.generation
    AND clock_timestamp() > commands.created_at + commands.held_for + CASE
        WHEN chargers.provisioning_status IN ('PENDING', 'PROVISIONING') THEN CAST(:provisioning_deadline AS interval)
        ELSE CAST(:deadline AS interval)
    END
ORDER BY chargers.id
""")
