"""The events of chargers, for their streams."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import ARRAY, BigInteger, String, bindparam, column, func, select, text, true
from sqlalchemy import cast as cast_to
from sqlalchemy.orm import Session

from shared.fleet.commands import read_command
from shared.fleet.scope import get_charger
from shared.models import Charger, ChargerEvent, Command, ShownReport

MAX_EVENTS = 50  # per position and call, so that a stream that is far behind delays no other
MAX_POSITIONS = 100  # in one query
STREAMED = ("command", "status", "ocpp", "action")  # types of events; others only say that a row changed


Position = tuple[str, int]  #: a charger, and the id of its last event that was read


class Event(Protocol):
    """A row that `events_after` returns."""

    charger_id: str
    after: int  #: the event id of the position that it follows
    id: int
    at: datetime
    type: str
    data: dict[str, Any]


class Snapshot(NamedTuple):
    """A charger, its newest command, and the id of the last event that they include."""

    charger: Charger
    command: Command | None
    last_event_id: int


def snapshot(session: Session, *, organization_id: str, charger_id: str) -> Snapshot:
    """The state that a new stream begins with. Raises ChargerNotFound.

    The event id is read first: a change in between is sent twice, and never lost.
    """
    newest = session.scalar(select(func.max(ChargerEvent.id)).where(ChargerEvent.charger_id == charger_id))
    charger = get_charger(session, organization_id=organization_id, charger_id=charger_id)
    command = read_command(session, charger.newest_command_id)
    return Snapshot(charger, command, newest or 0)


def newest_event_id(session: Session) -> int:
    """The highest event id so far, of any charger."""
    return session.scalar(_NEWEST) or 0


def events_after(session: Session, positions: Collection[Position]) -> Iterator[Event]:
    """The events after each position, at most MAX_EVENTS per position, oldest first.

    Each position is read separately, so one that is far behind costs the others nothing.
    """
    waiting = list(positions)
    for start in range(0, len(waiting), MAX_POSITIONS):
        some = waiting[start : start + MAX_POSITIONS]
        read = {
            "chargers": [charger_id for charger_id, _ in some],
            "last_ids": [last_id for _, last_id in some],
        }
        yield from cast(Sequence[Event], session.execute(_AFTER, read).all())


def reports_of(session: Session, charger_ids: Collection[str]) -> Sequence[ShownReport]:
    """What these chargers last reported over the control link; nothing of those that never did."""
    return session.scalars(
        select(ShownReport).where(
            ShownReport.charger_id == func.any(cast_to(list(charger_ids), ARRAY(String))),
            ShownReport.reported_at.is_not(None),
        )
    ).all()


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
    .where(
        ChargerEvent.charger_id == _watched.c.charger_id,
        ChargerEvent.id > _watched.c.last_id,
        ChargerEvent.type.in_(STREAMED),
    )
    .order_by(ChargerEvent.id)
    .limit(MAX_EVENTS)
    .lateral("backlog")
)
_AFTER = (
    select(_backlog, _watched.c.last_id.label("after"))
    .select_from(_watched)
    .join(_backlog, true())
    .order_by(_backlog.c.id)
)
_NEWEST = text("SELECT last_value FROM charger_events_id_seq")
