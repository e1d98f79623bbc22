"""A client that watches an organization, and keeps the picture of it that a page has."""

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class FeedEvent(NamedTuple):
    event: str
    data: dict[str, Any]
    id: str | None


class FeedClient:
    """Reads GET /ocpp/events, and keeps the rows by id."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.chunks: Iterator[bytes] = iter(answer.response)
        self.events = self._read()
        self.rows: dict[str, dict[str, Any]] = {}
        self.cursor: str | None = None

    def next(self, *names: str) -> FeedEvent:
        """The next event, or the next of these names."""
        for found in self.events:
            if not names or found.event in names:
                return found
        raise AssertionError(f"the stream ended without {names}")

    def close(self) -> None:
        self.answer.close()

    def _read(self) -> Iterator[FeedEvent]:
        for chunk in self.chunks:
            for block in chunk.decode().split("\n\n"):
                fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
                if "data" not in fields:
                    continue
                data = json.loads(fields["data"])
                self.cursor = fields.get("id", self.cursor)
                if fields["event"] == "charger":
                    self.rows[data["id"]] = data
                elif fields["event"] == "removed":
                    self.rows.pop(data["id"], None)
                yield FeedEvent(fields["event"], data, fields.get("id"))
