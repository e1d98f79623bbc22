"""What changed in an organization since a place in the order of its events.

Transactions commit in another order than they take event ids, so no id is a safe place to go on from. Events are ordered
by the transaction that wrote them, and a reader goes on from the oldest transaction that was still open when it read:
below that, nothing can appear any more. What is visible above it is returned at once, and may be returned again.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import NamedTuple

from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session, joinedload

from shared.models import Charger

MAX_EVENTS = 2000  # of a place that are read at once: one busy charger does not fill a page
MAX_CHARGERS = 200  # of a place that are returned at once: rendering their rows takes tenths of a second
MAX_BEHIND = 20_000  # events that a reader may be behind: to load a list is quicker than to read more
MAX_AGE_S = 86_400  # of a place; events are kept for a day at least (LOG_RETENTION_DAYS)


class Place(NamedTuple):
    """A place in the order of an organization's events: after the event, of that transaction."""

    organization_id: str
    xid: int
    event_id: int  #: 0 before the first event of the transaction
    early: frozenset[int] = frozenset()  #: events that follow, and that the reader already has


class Mark(NamedTuple):
    """The database at one moment."""

    database: str  #: another one after a restore, a fail-over or a move
    xmin: int  #: every transaction below has ended
    xmax: int  #: no transaction from here on is visible
    at: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """What followed a place."""

    charger_ids: tuple[str, ...]  #: each once; a charger may have changed again since, or be gone
    next: Place  #: to go on from
    is_behind: bool  #: more follows at once
    relabelled: frozenset[str] = frozenset()  #: the chargers whose labels changed


#: The charger, the transaction and the id of each, in order, and whether labels changed.
Events = Sequence[Row[tuple[str, int, int, bool]]]


def read_mark(session: Session) -> Mark:
    """The database now: a reader that begins at its `xmin` misses nothing that is not visible yet."""
    return Mark(*session.execute(_MARK).one())


def is_far_behind(session: Session, place: Place) -> bool:
    """Whether more than MAX_BEHIND events follow the place."""
    organization_id, xid, event_id, _ = place
    parameters = {"organization_id": organization_id, "xid": xid, "event_id": event_id}
    return (session.scalar(_COUNT, parameters | {"max_behind": MAX_BEHIND}) or 0) > MAX_BEHIND


def changes_after(
    session: Session, places: Collection[Place], *, max_early: int = MAX_EVENTS
) -> tuple[Mark, dict[Place, Changes]]:
    """What follows each place, in one statement. At most max_early events are returned before they are final."""
    ordered = list(places)
    rows = session.execute(
        _CHANGES,
        {
            "organizations": [place.organization_id for place in ordered],
            "xids": [place.xid for place in ordered],
            "event_ids": [place.event_id for place in ordered],
            "max_events": MAX_EVENTS,
        },
    ).all()
    mark = Mark(*rows[0][:4])
    events: dict[Place, list[Row[tuple[str, int, int, bool]]]] = {place: [] for place in ordered}
    for row in rows:
        if row.number is not None:
            events[ordered[row.number - 1]].append(row)
    return mark, {place: _changes(place, events[place], mark.xmin, max_early) for place in ordered}


def _changes(place: Place, events: Events, xmin: int, max_early: int) -> Changes:
    page = _first_chargers(events, place.early)
    below = list(takewhile(lambda event: event.xid < xmin, page))
    early = page[len(below) :][:max_early]
    is_all = len(page) == len(events) < MAX_EVENTS
    if below and not is_all:
        last = below[-1]
        after = Place(place.organization_id, last.xid, last.id)
        return Changes(_chargers(below, place), after, is_behind=True, relabelled=_relabelled(below))
    # Not all, and nothing below: a transaction has been open for so long that what followed fills a page.
    xid, event_id = max((place.xid, place.event_id), (xmin, 0)) if is_all else place[1:3]
    after = Place(place.organization_id, xid, event_id, frozenset(event.id for event in early))
    shown = [*below, *early]
    is_behind = len(page) < len(events)
    return Changes(_chargers(shown, place), after, is_behind=is_behind, relabelled=_relabelled(shown))


def _first_chargers(events: Events, early: frozenset[int]) -> Events:
    """The events before the one that would bring a charger too many."""
    chargers: set[str] = set()
    for number, event in enumerate(events):
        if event.id not in early and event.charger_id not in chargers:
            if len(chargers) == MAX_CHARGERS:
                return events[:number]
            chargers.add(event.charger_id)
    return events


def _chargers(events: Events, place: Place) -> tuple[str, ...]:
    return tuple(dict.fromkeys(event.charger_id for event in events if event.id not in place.early))


def _relabelled(events: Events) -> frozenset[str]:
    return frozenset(event.charger_id for event in events if event.relabelled)


def read_rows(session: Session, charger_ids: Sequence[str]) -> Sequence[Charger]:
    """The rows of those that are not deleted, as lists have them, of any organization: see whose each is."""
    query = (
        select(Charger)
        .where(Charger.id.in_(charger_ids), Charger.deleted_at.is_(None))
        .options(joinedload(Charger.link), joinedload(Charger.command))
    )
    return session.scalars(query).all()


_NOW = """
    SELECT
        concat_ws('-',
            (SELECT system_identifier FROM pg_control_system()),
            (SELECT timeline_id FROM pg_control_checkpoint()),
            (SELECT oid FROM pg_database WHERE datname = current_database())
        ) AS database,
        pg_snapshot_xmin(snapshot)::text::bigint AS xmin,
        pg_snapshot_xmax(snapshot)::text::bigint AS xmax,
        now() AS at
    FROM pg_current_snapshot() AS snapshot
"""
_MARK = text(_NOW)
# A restored database has events of transactions that have not begun yet: nothing from `xmax` on is of this one.
_CHANGES = text(f"""
WITH mark AS MATERIALIZED ({_NOW})
SELECT mark.*, found.number, found.charger_id, found.xid, found.id, found.relabelled FROM mark LEFT JOIN (
    SELECT place.number, event.*
    FROM unnest(
        CAST(:organizations AS text[]), CAST(:xids AS bigint[]), CAST(:event_ids AS bigint[])
    ) WITH ORDINALITY AS place (organization_id, xid, event_id, number)
    CROSS JOIN LATERAL (
        SELECT charger_id, xid, id, type = 'changed' AND data ? 'labels' AS relabelled FROM charger_events
        WHERE organization_id = place.organization_id
            AND (charger_events.xid, charger_events.id) > (place.xid, place.event_id)
            AND charger_events.xid < (SELECT xmax FROM mark)
        ORDER BY charger_events.xid, charger_events.id LIMIT :max_events
    ) AS event
) AS found ON true
ORDER BY found.number, found.xid, found.id
""")  # noqa: S608  # our own words
_COUNT = text("""
SELECT count(*) FROM (
    SELECT FROM charger_events
    WHERE organization_id = :organization_id AND (xid, id) > (:xid, :event_id) LIMIT :max_behind + 1
) AS behind
""")
