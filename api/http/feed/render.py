"""Renders the feed: rows and summaries as JSON, and events as text."""

from collections.abc import Iterator, Mapping
from typing import Any

import orjson
from flask import Flask

from api.http.fields.fields import instant_text
from api.http.schemas import ChargerAnswer
from api.live.feed_stream import Behind
from shared.fleet.listing import Summary
from shared.models import Charger

RETRY_MS = 2000  # that clients wait before they reconnect


class JsonRenderer:
    """What clients get, as JSON. For threads that serve no request."""

    def __init__(self, app: Flask) -> None:
        self._app = app
        self._schema = ChargerAnswer()

    def row(self, charger: Charger) -> bytes:
        """As in lists. What rows show must be loaded."""
        with self._app.app_context():
            return orjson.dumps(self._schema.dump(charger))

    def summary(self, summary: Summary) -> bytes:
        return orjson.dumps(summary)


def event(name: str, data: bytes | Mapping[str, Any], cursor: str | None = None) -> str:
    """An event's text. Only the last of a batch has the cursor, so a break in the middle repeats the batch."""
    text = data if isinstance(data, bytes) else orjson.dumps(data)
    first = f"id: {cursor}\n" if cursor is not None else ""
    return f"{first}event: {name}\ndata: {text.decode()}\n\n"


def row_events(rows: Mapping[str, bytes | None]) -> Iterator[tuple[str, bytes | Mapping[str, Any]]]:
    for charger_id, row in rows.items():
        yield ("removed", {"id": charger_id}) if row is None else ("charger", row)


def behind_event(behind: Behind) -> Mapping[str, Any]:
    since = behind.since
    return {
        "since": since and instant_text(since),
        "reason": since and "The API cannot read from its database: what is shown may have changed since",
    }
