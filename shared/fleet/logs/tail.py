"""Follows the logs of chargers: what is stored after a follower's place, and what is stored late before it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.fleet.logs.rows import FRAMES, Entry, Position, entries_of, position_of

MAX_ENTRIES = 200  # new ones per charger and call, so that a charger with many of them delays no other
MAX_LATENESS = timedelta(
    seconds=60
)  # of a line that is stored after a newer one; the default of LOG_OVERLAP_SECONDS
MAX_RECENT = (
    500  # entries before the place that are compared with what was returned: a bound of a follower's memory
)


@dataclass(eq=False)
class Tail:
    """A follower's place in a charger's log. A new one gets the entries of the last MAX_LATENESS first."""

    charger_id: str
    place: Position | None = None  #: of the newest entry that was returned
    began_at: datetime | None = None  #: older entries are not returned
    recent: set[Position] = field(
        default_factory=set
    )  #: what was returned, up to MAX_LATENESS before the place
    version: str | None = None  #: of the logs when they were last read to their end


def read_tails(session: Session, tails: Iterable[Tail]) -> list[tuple[Tail, list[Entry]]]:
    """The tails that have new entries, with these; advances the tails.

    Entries are frames, remarks and connection events in the order of time, each with its `kind`. The newer ones come once
    and completely, up to MAX_ENTRIES in a call. One that is stored late, with a time before the place, comes too, unless it
    lies MAX_LATENESS or MAX_RECENT entries before. While the log reader has stored nothing, the call is one small query.
    """
    now, version = session.execute(_NOW_AND_VERSION).one()
    due = [tail for tail in tails if tail.version is None or tail.version != version]
    if not due:
        return []
    for tail in due:
        if tail.place is None:
            tail.began_at = now - MAX_LATENESS
            tail.place = Position(tail.began_at, "", FRAMES)
    places = _parameters(due)
    newer = _by_tail(session.execute(_NEWER, places | {"max_rows": MAX_ENTRIES}), due)
    recent = _by_tail(session.execute(_RECENT, places | {"max_rows": MAX_RECENT}), due)
    late = _late(session, due, recent)
    found = []
    for tail in due:
        rows = [*late[tail], *newer[tail]]
        _advance(tail, newer[tail], recent[tail])
        tail.version = None if len(newer[tail]) == MAX_ENTRIES else version
        if rows:
            found.append((tail, entries_of(rows)))
    return found


def _late(session: Session, due: Sequence[Tail], recent: dict[Tail, list[Any]]) -> dict[Tail, list[Any]]:
    """The rows before the places that were not returned. There are few, so they are read by their keys."""
    missed = [
        (tail, place)
        for tail in due
        for row in recent[tail]
        if (place := position_of(row)) not in tail.recent
    ]
    if not missed:
        return defaultdict(list)
    keys = {
        "numbers": [due.index(tail) for tail, _ in missed],
        "charger_ids": [tail.charger_id for tail, _ in missed],
        "timestamps": [place.timestamp for _, place in missed],
        "event_ids": [place.event_id for _, place in missed],
        "tables": [place.table for _, place in missed],
    }
    return _by_tail(session.execute(_OF_KEYS, keys), due)


def _advance(tail: Tail, newer: Sequence[Any], recent: Sequence[Any]) -> None:
    """All rows of `recent` have been returned by now."""
    if newer:
        tail.place = position_of(newer[-1])
    tail.recent |= {position_of(row) for row in (*newer, *recent)}
    if tail.place is not None:
        first = tail.place.timestamp - MAX_LATENESS
        if len(recent) == MAX_RECENT:
            first = max(first, min(row.timestamp for row in recent))
        tail.recent = {place for place in tail.recent if place.timestamp >= first}


def _parameters(due: Collection[Tail]) -> dict[str, Any]:
    places = [tail.place for tail in due if tail.place is not None]
    return {
        "numbers": list(range(len(places))),
        "charger_ids": [tail.charger_id for tail in due],
        "timestamps": [place.timestamp for place in places],
        "event_ids": [place.event_id for place in places],
        "tables": [place.table for place in places],
        "since": [
            max(place.timestamp - MAX_LATENESS, tail.began_at or place.timestamp)
            for tail, place in zip(due, places, strict=True)
        ],
    }


def _by_tail(rows: Iterable[Any], due: Sequence[Tail]) -> dict[Tail, list[Any]]:
    found: dict[Tail, list[Any]] = defaultdict(list)
    for row in rows:
        found[due[row.number]].append(row)
    return found


# The log reader writes its cursors in the transaction in which it stores entries.
_NOW_AND_VERSION = text(
    "SELECT clock_timestamp(), coalesce(string_agg(xmin::text, ' ' ORDER BY log_group), '') FROM log_cursors"
)

_PLACES = """
    unnest(CAST(:numbers AS int[]), CAST(:charger_ids AS text[]), CAST(:timestamps AS timestamptz[]),
           CAST(:event_ids AS text[]), CAST(:tables AS int[])) AS place (number, charger_id, at, event_id, source)
"""
_OF_FRAME = """0 AS "table", 'frame' AS kind, timestamp, event_id, direction, action,
    NULL AS level, NULL AS state, NULL AS reason, message"""
_OF_LINE = """1 AS "table", kind, timestamp, event_id, NULL AS direction, NULL AS action, level, state, reason, message"""

# The conditions on `timestamp` alone are implied: by them PostgreSQL begins in the index, and leaves out other days.
_NEWER = text(f"""
SELECT place.number, entry.* FROM {_PLACES} CROSS JOIN LATERAL (
    (SELECT {_OF_FRAME} FROM charger_logs
     WHERE charger_id = place.charger_id AND timestamp >= place.at
     AND (timestamp, event_id, 0) > (place.at, place.event_id, place.source)
     ORDER BY timestamp, event_id LIMIT :max_rows)
    UNION ALL
    (SELECT {_OF_LINE} FROM charger_log_lines
     WHERE charger_id = place.charger_id AND timestamp >= place.at
     AND (timestamp, event_id, 1) > (place.at, place.event_id, place.source)
     ORDER BY timestamp, event_id LIMIT :max_rows)
    ORDER BY timestamp, event_id, "table" LIMIT :max_rows
) AS entry
ORDER BY place.number, entry.timestamp, entry.event_id, entry."table"
""")  # noqa: S608  # our own words

_RECENT = text(f"""
SELECT place.number, entry.* FROM {_PLACES}
JOIN unnest(CAST(:numbers AS int[]), CAST(:since AS timestamptz[])) AS first (number, at) USING (number)
CROSS JOIN LATERAL (
    (SELECT 0 AS "table", timestamp, event_id FROM charger_logs
     WHERE charger_id = place.charger_id AND timestamp BETWEEN first.at AND place.at
     AND (timestamp, event_id, 0) <= (place.at, place.event_id, place.source)
     ORDER BY timestamp DESC, event_id DESC LIMIT :max_rows)
    UNION ALL
    (SELECT 1 AS "table", timestamp, event_id FROM charger_log_lines
     WHERE charger_id = place.charger_id AND timestamp BETWEEN first.at AND place.at
     AND (timestamp, event_id, 1) <= (place.at, place.event_id, place.source)
     ORDER BY timestamp DESC, event_id DESC LIMIT :max_rows)
    ORDER BY timestamp DESC, event_id DESC, "table" DESC LIMIT :max_rows
) AS entry
""")  # noqa: S608  # our own words

_OF_KEYS = text(f"""
SELECT place.number, entry.* FROM {_PLACES} CROSS JOIN LATERAL (
    SELECT {_OF_FRAME} FROM charger_logs
    WHERE place.source = 0 AND charger_id = place.charger_id AND timestamp = place.at AND event_id = place.event_id
    UNION ALL
    SELECT {_OF_LINE} FROM charger_log_lines
    WHERE place.source = 1 AND charger_id = place.charger_id AND timestamp = place.at AND event_id = place.event_id
) AS entry
ORDER BY place.number, entry.timestamp, entry.event_id, entry."table"
""")  # noqa: S608  # our own words
