"""Commands to one charger that answer with its result (contract 9.1)."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest

from api.resources import Resources
from shared.fleet.actions.table import load_kinds
from shared.vocabulary import ActionStatus
from tests.support.control import actions_of, connect, finish
from tests.support.fleet import Fleet

FAULT = "/ocpp/commands/inject-fault"
RESULT = {
    "msg": "The connector is Faulted",
    "fault_type": "OverCurrent",
    "evse_id": None,
    "connector_id": 1,
    "status": "Faulted",
}

KINDS = {kind.name: kind for kind in load_kinds()}

InBackground = Callable[..., Future[Any]]


def _fault(charger_id: str) -> dict[str, Any]:
    return {"json": {"target": {"charger_id": charger_id}, "event": {"fault_type": "OverCurrent"}}}


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    return charger_id


def test_the_answer_is_the_chargers_result(fleet: Fleet, begin: InBackground, charger_id: str) -> None:
    waiting = begin("POST", FAULT, **_fault(charger_id))
    [row] = actions_of(fleet.sessions, charger_id)
    finish(fleet.sessions, row.id, ActionStatus.RECEIVED)
    finish(fleet.sessions, row.id, ActionStatus.APPLIED, result=RESULT)
    answer = waiting.result(10)

    assert (answer.status_code, answer.json) == (200, RESULT)
    assert answer.headers["Location"] == f"/ocpp/commands/{row.id}"
    assert (row.expires_at - row.created_at).total_seconds() == 5


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (ActionStatus.REJECTED, "action_rejected"),
        (ActionStatus.FAILED, "charger_restarted"),
        (ActionStatus.EXPIRED, "action_expired"),
    ],
)
def test_what_was_not_applied_is_an_error_that_says_why(
    fleet: Fleet, begin: InBackground, charger_id: str, status: ActionStatus, code: str
) -> None:
    waiting = begin("POST", FAULT, **_fault(charger_id))
    [row] = actions_of(fleet.sessions, charger_id)
    finish(fleet.sessions, row.id, status, reason="For this reason", reason_code=code)
    answer = waiting.result(10)

    assert answer.status_code == 422
    assert answer.json["detail"] == [
        {
            "loc": ["body", "target", "charger_id"],
            "msg": "For this reason",
            "type": "value_error",
            "ctx": {"command_id": str(row.id), "code": code},
        }
    ]


def test_a_charger_that_does_not_run_is_an_error_at_once(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, desired_count=0)

    answer = fleet.post(FAULT, **_fault(charger_id))

    assert answer.status_code == 422
    assert answer.json["detail"][0]["ctx"]["code"] == "charger_stopped"
    assert [row.status for row in actions_of(fleet.sessions, charger_id)] == ["failed"]


def test_no_answer_in_time_is_an_error_that_names_the_command(
    fleet: Fleet, charger_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a 5xx: the SDK would repeat the request, and the charger may still do the first."""
    monkeypatch.setattr("api.http.actions.queries.RESULT_WAIT_S", 1)

    answer = fleet.post(f"{FAULT}?wait=1", **_fault(charger_id))

    [row] = actions_of(fleet.sessions, charger_id)
    [item] = answer.json["detail"]
    assert answer.status_code == 422
    assert item["ctx"] == {"command_id": str(row.id), "code": "no_answer"}
    assert str(row.id) in item["msg"]


def test_a_request_that_cannot_wait_stores_nothing(
    fleet: Fleet, charger_id: str, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.watcher._slots, "max_slots", 0)

    answer = fleet.post(FAULT, **_fault(charger_id))

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert actions_of(fleet.sessions, charger_id) == []


def test_a_result_that_lacks_what_the_contract_requires_is_an_error(
    fleet: Fleet, begin: InBackground, charger_id: str
) -> None:
    waiting = begin("POST", FAULT, **_fault(charger_id))
    [row] = actions_of(fleet.sessions, charger_id)
    finish(fleet.sessions, row.id, ActionStatus.APPLIED, result={"status": "Faulted"})
    answer = waiting.result(10)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["msg"] == "The charger's answer lacks msg"


def test_the_state_of_the_car_is_read_without_a_body(
    fleet: Fleet, begin: InBackground, charger_id: str
) -> None:
    waiting = begin("GET", f"/ocpp/commands/ev-state?charger_id={charger_id}&connector_id=1")
    [row] = actions_of(fleet.sessions, charger_id)
    result = dict(KINDS["get_ev_state"].result_example or {})
    finish(fleet.sessions, row.id, ActionStatus.APPLIED, result=result)
    answer = waiting.result(10)

    assert (row.name, row.event) == ("get_ev_state", {"connector_id": 1})
    assert (answer.status_code, answer.json) == (200, result)
