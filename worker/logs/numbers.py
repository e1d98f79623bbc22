"""Find the lines of shared chargers that were lost between the charger and CloudWatch.

A host numbers the lines of each start of a charger. Which numbers were read is kept as ranges, so a line that is read twice or
late changes nothing that it should not. A gap that no late line has filled for a while becomes a remark in the charger's log.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, timedelta
from typing import Any

from sqlalchemy import delete, func, text
from sqlalchemy.orm import Session

from shared.database.engine import Sessions
from shared.models import LogNumber
from shared.vocabulary import RemarkLevel
from worker.logs.lines import write_lines
from worker.logs.partitions import ensure_partitions

MAX_RANGES = 100  # kept of a start; with one more they become one, and what they left out counts as lost
MAX_REMARKS = 500  # in one transaction
MAX_AGE = timedelta(days=1)  # after the newest line


def write_numbers(session: Session, lines: Iterable[dict[str, Any]]) -> None:
    """Add the numbers of the lines that have one. Safe to repeat."""
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for line in lines:
        if line["number"] is not None:
            found[line["charger_id"], line["task_id"]].add(line["number"])
    if not found:
        return
    keys = sorted(found)  # the order in which concurrent readers insert
    session.execute(
        _ADD,
        {
            "charger_ids": [charger_id for charger_id, _ in keys],
            "boot_ids": [boot_id for _, boot_id in keys],
            "seen": [_multirange(found[key]) for key in keys],
            "max_ranges": MAX_RANGES,
        },
    )


def report_gaps(sessions: Sessions, after_s: float) -> int:
    """Write a remark for each charger with gaps that are older than `after_s`. Returns how many.

    Safe to repeat, also concurrently: each lost line is reported once.
    """
    with sessions.begin() as session:
        rows = session.execute(_TAKE_GAPS, {"after_s": after_s, "limit": MAX_REMARKS}).all()
        lost = [row for row in rows if row.lost > 0]
        ensure_partitions(session, {row.now.astimezone(UTC).date() for row in lost})
        write_lines(
            session,
            [
                {
                    "type": "log",
                    "charger_id": row.charger_id,
                    "at": row.now,
                    "event_id": f"lost-{row.boot_id}-{row.reported}",
                    "level": RemarkLevel.WARNING,
                    "message": f"Lost lines of this log: {row.lost}. The charger's host or the log driver dropped them",
                }
                for row in lost
            ],
        )
    return len(lost)


def prune_numbers(sessions: Sessions) -> None:
    """Delete the numbers of starts that have written nothing for MAX_AGE. Safe to repeat."""
    with sessions.begin() as session:
        session.execute(delete(LogNumber).where(LogNumber.read_at < func.now() - MAX_AGE))


def _multirange(numbers: set[int]) -> str:
    """In PostgreSQL's form, as {[0,5),[7,9)}."""
    ranges: list[list[int]] = []
    for number in sorted(numbers):
        if ranges and ranges[-1][1] == number:
            ranges[-1][1] = number + 1
        else:
            ranges.append([number, number + 1])
    return "{" + ",".join(f"[{start},{end})" for start, end in ranges) + "}"


#: How many numbers lie between the ranges of `seen`.
_GAPS = (
    "(upper(seen) - lower(seen) - (SELECT sum(upper(part) - lower(part)) FROM unnest(seen) AS part))::integer"
)

_ADD = text(f"""
INSERT INTO log_numbers AS known (charger_id, boot_id, seen, gaps_at)
SELECT charger_id, boot_id, seen, CASE WHEN seen <> range_merge(seen)::int4multirange THEN now() END FROM unnest(
    CAST(:charger_ids AS text[]), CAST(:boot_ids AS text[]), CAST(CAST(:seen AS text[]) AS int4multirange[])
) AS read (charger_id, boot_id, seen)
ON CONFLICT (charger_id, boot_id) DO UPDATE SET (seen, missing, gaps_at, read_at) = (
    SELECT
        CASE WHEN too_many THEN range_merge(summed.seen)::int4multirange ELSE summed.seen END,
        known.missing + CASE WHEN too_many THEN gaps ELSE 0 END,
        CASE WHEN known.missing + gaps > known.reported THEN coalesce(known.gaps_at, now()) END,
        now()
    FROM (SELECT known.seen + excluded.seen AS seen) AS summed
    CROSS JOIN LATERAL (
        SELECT (SELECT count(*) FROM unnest(seen)) > :max_ranges AS too_many, {_GAPS} AS gaps
    ) AS counted
)
WHERE NOT excluded.seen <@ known.seen
""")  # noqa: S608  # our own words

_TAKE_GAPS = text(f"""
WITH due AS MATERIALIZED (
    SELECT charger_id, boot_id, missing + {_GAPS} AS lost, reported FROM log_numbers
    WHERE gaps_at <= now() - make_interval(secs => :after_s)
    ORDER BY charger_id, boot_id LIMIT :limit FOR UPDATE SKIP LOCKED
)
UPDATE log_numbers SET gaps_at = NULL, reported = greatest(due.reported, due.lost) FROM due
WHERE (log_numbers.charger_id, log_numbers.boot_id) = (due.charger_id, due.boot_id)
RETURNING due.charger_id, due.boot_id, due.lost - due.reported AS lost, log_numbers.reported, now() AS now
""")  # noqa: S608  # our own words
