"""A command that is sent again with its Idempotency-Key happens once."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from shared.fleet.actions.table import load_kinds
from shared.vocabulary import ActionStatus
from tests.support.control import actions_of, connect, disconnect, finish
from tests.support.fleet import Fleet

KEY = {"Idempotency-Key": "key-1"}
PLUG = "/ocpp/commands/plug-connector"
FAULT = "/ocpp/commands/inject-fault"
RESULT = next(dict(kind.result_example or {}) for kind in load_kinds() if kind.name == "inject_fault")

InBackground = Callable[..., Future[Any]]


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    charger_id = fleet.ready(location_id="here")
    connect(fleet.sessions, charger_id)
    return charger_id


def test_a_repeat_gets_the_first_answer_again(fleet: Fleet, charger_id: str) -> None:
    fleet.ready(identity="CP-NOT-CONNECTED", location_id="here")
    body = {"target": {"location_id": "here", "charger_ids": None}, "event": {}}
    first = fleet.post(PLUG, json=body, headers=KEY)
    fleet.delete(f"/ocpp/chargers/{charger_id}")

    again = fleet.post(PLUG, json=body, headers=KEY)

    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json["queued_count"] == first.json["failed_count"] == 1
    assert again.data == first.data
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers


def test_a_repeat_waits_for_the_first_action(fleet: Fleet, begin: InBackground, charger_id: str) -> None:
    body = {"target": {"charger_id": charger_id}, "event": {"fault_type": "OverCurrent"}}
    first, again = (begin("POST", FAULT, json=body, headers=KEY) for _ in range(2))
    [row] = actions_of(fleet.sessions, charger_id)
    finish(fleet.sessions, row.id, ActionStatus.APPLIED, result=RESULT)

    assert [request.result(10).json for request in (first, again)] == [RESULT, RESULT]
    assert fleet.post(FAULT, json=body, headers=KEY).json == RESULT
    assert len(actions_of(fleet.sessions, charger_id)) == 1


def test_another_body_or_another_command_is_another_request(fleet: Fleet, charger_id: str) -> None:
    target = {"charger_id": charger_id}
    fleet.post(PLUG, json={"target": target}, headers=KEY)

    other_body = fleet.post(PLUG, json={"target": target, "event": {"connector_id": 1}}, headers=KEY)
    other_path = fleet.post("/ocpp/commands/unplug-connector", json={"target": target}, headers=KEY)

    assert (other_body.status_code, other_body.json["detail"][0]["loc"]) == (
        422,
        ["header", "Idempotency-Key"],
    )
    assert other_path.status_code == 202
    assert [row.name for row in actions_of(fleet.sessions, charger_id)] == [
        "plug_connector",
        "unplug_connector",
    ]


def test_after_an_error_that_stored_nothing_the_key_can_be_used_again(fleet: Fleet, charger_id: str) -> None:
    unknown = fleet.post(PLUG, json={"target": {"charger_id": "dep-unknown"}}, headers=KEY)

    known = fleet.post(PLUG, json={"target": {"charger_id": charger_id}}, headers=KEY)

    assert (unknown.status_code, known.status_code) == (404, 202)


def test_after_a_charger_could_not_get_the_action_the_key_can_be_used_again(
    fleet: Fleet, begin: InBackground, charger_id: str
) -> None:
    body = {"target": {"charger_id": charger_id}, "event": {"fault_type": "OverCurrent"}}
    disconnect(fleet.sessions, charger_id)
    failed = fleet.post(FAULT, json=body, headers=KEY)
    connect(fleet.sessions, charger_id)

    again = begin("POST", FAULT, json=body, headers=KEY)
    finish(fleet.sessions, actions_of(fleet.sessions, charger_id)[-1].id, ActionStatus.APPLIED, result=RESULT)

    assert failed.status_code == 422
    assert again.result(10).json == RESULT


def test_without_a_key_each_request_is_an_action_of_its_own(fleet: Fleet, charger_id: str) -> None:
    for _ in range(2):
        fleet.post(PLUG, json={"target": {"charger_id": charger_id}})

    assert len(actions_of(fleet.sessions, charger_id)) == 2
