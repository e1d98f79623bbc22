"""Reads a charger's log as a client does."""

import json
from dataclasses import dataclass
from typing import Any

from tests.support.fleet import Fleet
from tests.support.log_entries import Row, write_entries

LINES = {"Accept": "application/x-ndjson"}


@dataclass
class Log:
    """The log of one charger."""

    fleet: Fleet
    charger_id: str

    @property
    def path(self) -> str:
        return f"/ocpp/chargers/{self.charger_id}/logs"

    def write(self, *rows: Row) -> None:
        write_entries(self.fleet.sessions, self.charger_id, rows)

    def get(self, **query: Any) -> Any:
        """An answer that is no error."""
        answer = self.fleet.get(self.path, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def ids(self, **query: Any) -> list[str]:
        """Of the first page by cursor."""
        return [entry["id"] for entry in self.get(**{"cursor": ""} | query)["data"]]

    def lines(self, **query: Any) -> list[Any]:
        answer = self.fleet.get(self.path, query_string=query, headers=LINES, buffered=True)
        assert answer.status_code == 200, answer.text
        assert answer.mimetype == LINES["Accept"]
        return [json.loads(line) for line in answer.text.splitlines()]
