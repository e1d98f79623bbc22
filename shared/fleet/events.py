"""What changed about chargers, for those who watch them."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import ARRAY, BigInteger, String, bindparam, column, func, select, text, true
from sqlalchemy.orm import Session

from shared.fleet.scope import get_charger
from shared.models import Charger, ChargerEvent, Command

EVENTS_AT_ONCE = 50  # of each watched position, so that one that is far behind delays no other
POSITIONS_AT_ONCE = 100  # in one query


Position = tuple[str, int]  #: a charger, and the id of the last event of it that was read


class Event(Protocol):
    """A row of events_after."""

    charger_id: str
    after: int  #: the position's id that it was found for
    id: int
    at: datetime
    type: str
    data: dict[str, Any]


class Snapshot(NamedTuple):
    """A charger as it is, and the id of the last event that this takes in."""

    charger: Charger
    command: Command | None
    last_event_id: int


def snapshot(session: Session, *, organization_id: str, charger_id: str) -> Snapshot:
    """What a new watcher begins with. Raises ChargerNotFound.

    The id is read first: what changes meanwhile is told twice, and never not at all.
    """
    newest = session.scalar(select(func.max(ChargerEvent.id)).where(ChargerEvent.charger_id == charger_id))
    charger = get_charger(session, organization_id=organization_id, charger_id=charger_id)
    command = session.get(Command, charger.newest_command_id)
    return Snapshot(charger, command, newest or 0)


def newest_event_id(session: Session) -> int:
    """No event has an id above it yet, of any charger."""
    return session.scalar(_NEWEST) or 0


def events_after(session: Session, positions: Collection[Position]) -> Iterator[Event]:
    """What happened after each position, at most EVENTS_AT_ONCE each, oldest first.

    Each position is read by itself, so one that is far behind costs the others nothing.
    """
    waiting = list(positions)
    for start in range(0, len(waiting), POSITIONS_AT_ONCE):
        some = waiting[start : start + POSITIONS_AT_ONCE]
        read = {
            "chargers": [charger_id for charger_id, _ in some],
            "last_ids": [last_id for _, last_id in some],
        }
        yield from cast(Sequence[Event], session.execute(_AFTER, read).all())


_watched = (
    func.unnest(
        bindparam("chargers", type_=ARRAY(String)),
        bindparam("last_ids", type_=ARRAY(BigInteger)),
    )
    .table_valued(column("charger_id", String), column("last_id", BigInteger))
    .render_derived("watched")
)
_backlog = (
    select(ChargerEvent)
    .where(ChargerEvent.charger_id == _watched.c.charger_id, ChargerEvent.id > _watched.c.last_id)
    .order_by(ChargerEvent.id)
    .limit(EVENTS_AT_ONCE)
    .lateral("backlog")
)
_AFTER = (
    select(_backlog, _watched.c.last_id.label("after"))
    .select_from(_watched)
    .join(_backlog, true())
    .order_by(_backlog.c.id)
)
_NEWEST = text("SELECT last_value FROM charger_events_id_seq")
