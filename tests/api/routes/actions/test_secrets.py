"""A secret in a command reaches the charger only: no row, answer, event or log line shows it."""

import json
from typing import Any

import pytest
from sqlalchemy import text

from api.resources import Resources
from shared.sealing import Sealer
from tests.support.control import actions_of, connect
from tests.support.fleet import Fleet

CONFIGURATION = "/ocpp/commands/configuration"
SECRET = "correct-horse-battery"
EVENT = {"configuration": {"AuthorizationKey": SECRET, "HeartbeatInterval": "30"}}


@pytest.fixture
def body(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    monkeypatch.setattr("api.http.actions.queries.RESULT_WAIT_S", 0)
    return {"target": {"charger_id": charger_id}, "event": EVENT}


def test_a_secret_is_masked_and_sealed_beside_it(
    fleet: Fleet, body: dict[str, Any], resources: Resources, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = fleet.post(f"{CONFIGURATION}?wait=0", json=body, headers={"Idempotency-Key": "k"})

    [row] = actions_of(fleet.sessions, body["target"]["charger_id"])
    shown = fleet.get(f"/ocpp/commands/{row.id}")
    assert row.event == {"configuration": {"AuthorizationKey": "***", "HeartbeatInterval": "30"}}
    assert json.loads(resources.sealer.open_sealed(row.sealed_event or "")) == EVENT
    assert shown.json["payload"] == row.event
    with fleet.sessions() as session:
        stored = [
            session.scalar(text(f"SELECT string_agg(t::text, '') FROM {table} AS t"))  # noqa: S608
            for table in ("actions", "idempotency_keys", "charger_events")
        ]
    everything = [answer.text, shown.text, *stored, *capsys.readouterr()]
    assert [shown for shown in everything if SECRET in shown] == []


def test_an_event_without_a_secret_is_not_sealed(fleet: Fleet, body: dict[str, Any]) -> None:
    event = {"configuration": {"HeartbeatInterval": "30"}}

    fleet.post(f"{CONFIGURATION}?wait=0", json=body | {"event": event})

    [row] = actions_of(fleet.sessions, body["target"]["charger_id"])
    assert (row.event, row.sealed_event) == (event, None)


def test_an_installation_without_a_key_takes_no_secret(
    fleet: Fleet, body: dict[str, Any], resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.sealer, "_fernet", Sealer(())._fernet)

    answer = fleet.post(f"{CONFIGURATION}?wait=0", json=body)

    assert answer.status_code == 422
    assert "ENCRYPTION_KEYS" in answer.json["detail"][0]["msg"]
    assert actions_of(fleet.sessions, body["target"]["charger_id"]) == []
