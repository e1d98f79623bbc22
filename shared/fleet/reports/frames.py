"""What the frames of a report's chargers say: calls, their answers and latency, by OCPP action, and the CSMS's errors.

One statement reads each frame once, whatever the number of chargers, by the index of each day's partition. Only the
beginning of a message is read: its type, its id and the code of an error.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.orm import Session

#: That a report counts: one or two seconds of a small server, far below its time-out.
MAX_FRAMES = 200_000
MAX_ACTIONS = 200  # names of actions come from the CSMS, too
MAX_ERRORS = 100


class FramesOfCharger(NamedTuple):
    """How many frames of a charger were counted."""

    frames: int
    csms_errors: int  #: CALLERRORs that its CSMS sent


@dataclass(frozen=True, slots=True)
class FrameCounts:
    """The frames of all chargers of a report."""

    total: int
    complete: bool  #: false when a charger had as many frames as are counted of each, or more; or lost some to the quota
    max_per_charger: int
    cut_by_quota: int  #: chargers that lost frames of these days to LOG_BYTES_PER_ORGANIZATION
    read_until: datetime | None  #: the log had been read until then; None before the first pass
    by_action: Sequence[Mapping[str, Any]]  #: most calls first
    errors: Sequence[Mapping[str, Any]]  #: of the CSMS, by code and action, most first
    by_charger: Mapping[str, FramesOfCharger]


def count_frames(
    session: Session, charger_ids: Sequence[str], *, start: datetime, end: datetime
) -> FrameCounts:
    """Count the frames between the two instants (inclusive): of each charger the first MAX_FRAMES / chargers at most.

    The caller has checked that the chargers are the organization's.
    """
    max_each = MAX_FRAMES // max(1, len(charger_ids))
    row = session.execute(
        _COUNTED,
        {
            "charger_ids": list(charger_ids),
            "start": start,
            "end": end,
            "max_each": max_each,
            "max_actions": MAX_ACTIONS,
            "max_errors": MAX_ERRORS,
        },
    ).one()
    return FrameCounts(
        total=row.total,
        complete=row.longest < max_each and not row.cut_by_quota,
        max_per_charger=max_each,
        cut_by_quota=row.cut_by_quota,
        read_until=row.read_until,
        by_action=row.by_action,
        errors=row.errors,
        by_charger={
            charger_ids[number - 1]: FramesOfCharger(frames, csms_errors)
            for number, frames, csms_errors in row.by_charger
        },
    )


# A message begins with [type,"id", and that of a CALLERROR goes on with "code". An id that has a quote is cut at it, the same
# way in the answer. A call's answer is the next frame with its id: an id may be used again. Ids are compared by a hash of 64
# bits, and times are floats, because sorting the frames is most of the work.
_COUNTED = text("""
WITH frames AS MATERIALIZED (
    SELECT CAST(charger.number AS int) AS number, frame.timestamp, frame.direction = 'cp_to_csms' AS is_sent,
        frame.action COLLATE "C" AS action, kind.type, hashtextextended(split_part(frame.head, '"', 2), 0) AS message_id,
        CASE WHEN kind.type IN ('4', '5') THEN left(split_part(frame.head, '"', 4), 64) END AS code
    FROM unnest(CAST(:charger_ids AS text[])) WITH ORDINALITY AS charger (id, number)
    CROSS JOIN LATERAL (
        SELECT timestamp, direction, action, left(message, 200) AS head FROM charger_logs
        WHERE charger_id = charger.id AND timestamp >= :start AND timestamp <= :end
        ORDER BY timestamp, event_id LIMIT :max_each
    ) AS frame
    CROSS JOIN LATERAL (
        SELECT translate(split_part(frame.head, '"', 1), E'[, \\t\\r\\n', '') COLLATE "C" AS type
    ) AS kind
), messages AS (
    SELECT action, type, is_sent = (type = '2') AS by_charger, lead(type) OVER same AS answer,
        date_part('epoch', lead(timestamp) OVER same - timestamp) * 1000 AS latency_ms
    FROM frames WHERE type IN ('2', '3', '4', '5')
    WINDOW same AS (PARTITION BY message_id, number, is_sent = (type = '2') ORDER BY timestamp, type)
), calls AS (
    SELECT action, by_charger, nullif(answer, '2') AS answer, CASE WHEN answer <> '2' THEN latency_ms END AS latency_ms
    FROM messages WHERE type = '2'
), actions AS (
    SELECT left(action, 64) AS action, CASE WHEN by_charger THEN 'charger' ELSE 'csms' END AS caller,
        count(*) AS calls,
        count(*) FILTER (WHERE answer = '3') AS results,
        count(*) FILTER (WHERE answer IN ('4', '5')) AS errors,
        count(*) FILTER (WHERE answer IS NULL) AS unanswered,
        CAST(percentile_disc(ARRAY[0.5, 0.95, 0.99, 1]) WITHIN GROUP (ORDER BY latency_ms) AS numeric(20, 1)[]) AS latency
    FROM calls GROUP BY 1, by_charger ORDER BY calls DESC, action, caller LIMIT :max_actions
), errors AS (
    SELECT code, left(action, 64) AS action, count(*) AS count
    FROM frames WHERE code IS NOT NULL AND NOT is_sent
    GROUP BY 1, 2 ORDER BY count DESC, code, action LIMIT :max_errors
), chargers AS (
    SELECT number, count(*) AS frames, count(code) FILTER (WHERE NOT is_sent) AS csms_errors
    FROM frames GROUP BY number
)
SELECT (SELECT coalesce(sum(frames), 0)::bigint FROM chargers) AS total,
    (SELECT coalesce(max(frames), 0) FROM chargers) AS longest,
    (SELECT count(DISTINCT charger_id) FROM log_cuts WHERE charger_id = ANY(:charger_ids)
        AND day BETWEEN CAST(CAST(:start AS timestamptz) AT TIME ZONE 'UTC' AS date)
        AND CAST(CAST(:end AS timestamptz) AT TIME ZONE 'UTC' AS date)) AS cut_by_quota,
    (SELECT max(read_through) FROM log_cursors) AS read_until,
    (SELECT coalesce(jsonb_agg(jsonb_build_object(
        'action', action, 'caller', caller, 'calls', calls, 'results', results, 'errors', errors, 'unanswered', unanswered,
        'latency_ms', CASE WHEN latency[1] IS NOT NULL THEN jsonb_build_object(
            'p50', latency[1], 'p95', latency[2], 'p99', latency[3], 'max', latency[4]) END
    ) ORDER BY calls DESC, action, caller), '[]') FROM actions) AS by_action,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('code', code, 'action', action, 'count', count)
        ORDER BY count DESC, code, action), '[]') FROM errors) AS errors,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(number, frames, csms_errors)), '[]') FROM chargers) AS by_charger
""")
