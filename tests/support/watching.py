"""A client that watches a charger's events."""

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import select

from shared.database.engine import Sessions
from shared.fleet.events import STREAMED
from shared.models import ChargerEvent


class ReceivedEvent(NamedTuple):
    id: int
    event: str
    data: dict[str, Any]


class Watching:
    """A client that watches a charger."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.chunks: Iterator[bytes] = iter(answer.response)
        self.events = self._read()

    def next(self) -> ReceivedEvent:
        return next(self.events)

    def close(self) -> None:
        self.answer.close()

    def _read(self) -> Iterator[ReceivedEvent]:
        for chunk in self.chunks:
            for block in chunk.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "data" in fields:
                    yield ReceivedEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))


Watch = Callable[..., Watching]


def event_ids(sessions: Sessions, charger_id: str) -> list[int]:
    """Of the events that the charger's stream has."""
    of_stream = (ChargerEvent.charger_id == charger_id, ChargerEvent.type.in_(STREAMED))
    with sessions() as session:
        return list(session.scalars(select(ChargerEvent.id).where(*of_stream).order_by(ChargerEvent.id)))
