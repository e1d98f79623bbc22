"""An answer of 503 means that nothing was stored: the SDK repeats such a request."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.limits import reads
from api.resources import Resources
from shared.vocabulary import ActionStatus
from tests.support.control import actions_of, connect, finish
from tests.support.fleet import Fleet

PLUG = "/ocpp/commands/plug-connector"
FAULT = "/ocpp/commands/inject-fault"

InBackground = Callable[..., Future[Any]]


def test_without_a_database_a_command_is_a_503(without_database: FlaskClient, fleet: Fleet) -> None:
    body = {"target": {"charger_id": "dep-1"}, "event": {"fault_type": "OverCurrent"}}

    answers = [
        without_database.post(path, json=body | {"event": event}, headers=fleet.headers())
        for path, event in ((PLUG, {}), (FAULT, body["event"]))
    ]

    assert [(answer.status_code, answer.headers["Retry-After"]) for answer in answers] == [(503, "2")] * 2


@pytest.fixture
def fill_reads(resources: Resources, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Other requests of the organization use all connections for reading."""

    def fill() -> None:
        monkeypatch.setattr(reads, "WAIT_S", 0.05)
        monkeypatch.setattr(resources.reads, "_max_per_organization", 0)

    return fill


@pytest.mark.parametrize(("path", "status"), [(f"{PLUG}?wait=20", 202), (FAULT, 422)])
def test_a_stored_command_whose_row_cannot_be_read_is_no_503(
    fleet: Fleet, begin: InBackground, fill_reads: Callable[[], None], path: str, status: int
) -> None:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    event = {"fault_type": "OverCurrent"} if path == FAULT else {}

    waiting = begin("POST", path, json={"target": {"charger_id": charger_id}, "event": event})
    fill_reads()
    [row] = actions_of(fleet.sessions, charger_id)
    finish(fleet.sessions, row.id, ActionStatus.APPLIED, result={"msg": "done"})
    answer = waiting.result(10)

    assert answer.status_code == status
    assert str(row.id) in answer.text
