"""What changed about chargers, for those who watch them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol, cast

from sqlalchemy import ARRAY, BigInteger, String, bindparam, column, func, select
from sqlalchemy.orm import Session

from api.services.scope import get_charger
from shared.models import Charger, ChargerEvent, Command

EVENTS_AT_ONCE = 1000


class Event(Protocol):
    """A row of events_after."""

    charger_id: str
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


def events_after(session: Session, last_ids: Mapping[str, int]) -> Sequence[Event]:
    """What happened to each of the chargers after the event with that id, oldest first."""
    rows = session.execute(_AFTER, {"chargers": list(last_ids), "last_ids": list(last_ids.values())}).all()
    return cast(Sequence[Event], rows)


_watched = (
    func.unnest(
        bindparam("chargers", type_=ARRAY(String)),
        bindparam("last_ids", type_=ARRAY(BigInteger)),
    )
    .table_valued(column("charger_id", String), column("last_id", BigInteger))
    .render_derived("watched")
)
_AFTER = (
    select(ChargerEvent.charger_id, ChargerEvent.id, ChargerEvent.at, ChargerEvent.type, ChargerEvent.data)
    .join_from(
        _watched,
        ChargerEvent,
        (ChargerEvent.charger_id == _watched.c.charger_id) & (ChargerEvent.id > _watched.c.last_id),
    )
    .order_by(ChargerEvent.id)
    .limit(EVENTS_AT_ONCE)
)
