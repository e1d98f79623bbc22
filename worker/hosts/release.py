"""Take chargers off the hosts that have ended them."""

from collections.abc import Collection

from sqlalchemy import text
from sqlalchemy.orm import Session

from worker.hosts.standing import ENDED_SQL, HOST_SQL


def lock_left_hosts(session: Session, charger_ids: Collection[str]) -> list[str]:
    """Lock the hosts that some of the chargers leave, and return those chargers.

    The rows of the chargers must be locked, and none of `host_chargers`: a hello locks its host before those.
    """
    leaving = session.execute(_LEAVING, {"charger_ids": list(charger_ids)}).all()
    if leaving:
        session.execute(_LOCK_HOSTS, {"host_ids": list({row.host_id for row in leaving})})
    return [row.charger_id for row in leaving]


def release_ended(session: Session, leaving: Collection[str]) -> set[str]:
    """Take those of the chargers off their hosts that have ended there. Returns them. Safe to repeat.

    They come from `lock_left_hosts`. Those that are deleted, or that shall have another place, are published at once.
    Nothing that was observed there stays: a service of its own, if that is next, has none of it.
    """
    if not leaving:
        return set()
    return set(session.scalars(_RELEASE, {"charger_ids": list(leaving)}))


_LEAVING = text(
    "SELECT charger_id, host_id FROM host_chargers WHERE charger_id = ANY(:charger_ids) AND leaving"
)
_LOCK_HOSTS = text("SELECT FROM hosts WHERE id = ANY(:host_ids) ORDER BY id FOR NO KEY UPDATE")
_RELEASE = text(f"""
WITH ended AS MATERIALIZED (
    SELECT host_chargers.charger_id FROM host_chargers {HOST_SQL}
    WHERE host_chargers.charger_id = ANY(:charger_ids) AND {ENDED_SQL}
), removed AS (
    DELETE FROM host_chargers USING ended WHERE host_chargers.charger_id = ended.charger_id
    RETURNING host_chargers.charger_id, host_chargers.host_id
), counted AS (
    UPDATE hosts SET
        chargers = chargers - fewer, empty_since = CASE WHEN chargers = fewer THEN clock_timestamp() END
    FROM (SELECT host_id, count(*) AS fewer FROM removed GROUP BY host_id) left_by WHERE hosts.id = left_by.host_id
)
UPDATE chargers SET
    host_id = NULL,
    running_count = 0,
    service_status = NULL,
    running_task_arn = NULL,
    running_task_generation = NULL,
    running_since = NULL,
    running_task_seen_at = NULL,
    running_task_ended_at = NULL,
    observe_at = CASE WHEN deleted_at IS NULL THEN observe_at END,
    not_before = CASE WHEN publish_at IS NULL THEN not_before END,
    publish_at = CASE WHEN publish_at IS NOT NULL THEN clock_timestamp() END
FROM removed WHERE chargers.id = removed.charger_id
RETURNING chargers.id
""")  # noqa: S608 - our own words
