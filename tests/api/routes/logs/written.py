"""Writes the lines of a charger's log as the log reader stores them, and reads them as a client does."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.models import ChargerLog, ChargerLogLine
from tests.support.fleet import Fleet

NOON = datetime(2026, 4, 9, 12, tzinfo=UTC)

Row = dict[str, Any]


def frame(
    second: float, id_: str, message: str | None, *, action: str = "Heartbeat", to_csms: bool = True
) -> Row:
    direction = "cp_to_csms" if to_csms else "csms_to_cp"
    return _at(second, id_) | {"direction": direction, "action": action, "message": message}


def remark(second: float, id_: str, level: str, message: str) -> Row:
    return _at(second, id_) | {"kind": "remark", "level": level, "message": message}


def connection(second: float, id_: str, state: str, reason: str | None = None) -> Row:
    return _at(second, id_) | {"kind": "connection", "state": state, "reason": reason}


def _at(second: float, id_: str) -> Row:
    return {"timestamp": NOON + timedelta(seconds=second), "event_id": id_}


@dataclass
class Log:
    """The log of one charger."""

    fleet: Fleet
    charger_id: str

    @property
    def path(self) -> str:
        return f"/ocpp/chargers/{self.charger_id}/logs"

    def write(self, *rows: Row) -> None:
        with self.fleet.sessions.begin() as session:
            for row in rows:
                table: Any = ChargerLog if "direction" in row else ChargerLogLine
                session.add(table(charger_id=self.charger_id, **row))

    def get(self, **query: Any) -> Any:
        """An answer that is no error."""
        answer = self.fleet.get(self.path, query_string=query)
        assert answer.status_code == 200, answer.text
        return answer.json

    def ids(self, **query: Any) -> list[str]:
        """Of the first page by cursor."""
        return [entry["id"] for entry in self.get(**{"cursor": ""} | query)["data"]]
