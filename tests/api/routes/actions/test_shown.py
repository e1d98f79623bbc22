"""What the API shows of actions: lists, single ones, and events."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import update

from shared.fleet.actions import read
from shared.models import Action
from shared.vocabulary import ActionStatus
from tests.support.control import connect, finish
from tests.support.fleet import Fleet
from tests.support.watching import Watch

COMMANDS = "/ocpp/commands"
PLUG = f"{COMMANDS}/plug-connector"

InBackground = Callable[..., Future[Any]]


def _plug(fleet: Fleet, charger_id: str, **headers: str) -> str:
    """An action's id."""
    body = {"target": {"charger_id": charger_id}, "event": {"connector_id": 1}}
    answer = fleet.post(PLUG, json=body, headers=headers)
    done = answer.json["results"] + answer.json["failed"]
    action_id: str = done[0].get("command_id") or done[0]["command"]["id"]
    return action_id


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    return charger_id


def test_an_action_shows_who_requested_what_and_what_came_of_it(fleet: Fleet, charger_id: str) -> None:
    action_id = _plug(fleet, charger_id, **{"X-Request-Id": "trace:42"})
    before = fleet.get(f"{COMMANDS}/{action_id}").json
    finish(fleet.sessions, action_id, ActionStatus.APPLIED, result={"status": "Preparing"})

    after = fleet.get(f"{COMMANDS}/{action_id}").json

    times = {name: before.pop(name) for name in ("created_at", "expires_at")}
    assert before == {
        "id": action_id,
        "charger_id": charger_id,
        "identity": "CP-TEST-001",
        "event_type": "plug_connector",
        "payload": {"connector_id": 1},
        "status": "queued",
        "reason": None,
        "reason_code": None,
        "result": None,
        "requested_by": "tester",
        "request_id": "trace:42",
        "received_at": None,
        "finished_at": None,
    }
    assert times["created_at"] < times["expires_at"]
    assert (after["status"], after["result"]) == ("applied", {"status": "Preparing"})
    assert after["created_at"] <= after["received_at"] <= after["finished_at"]


def test_wait_holds_the_answer_until_the_action_is_final(
    fleet: Fleet, begin: InBackground, charger_id: str
) -> None:
    action_id = _plug(fleet, charger_id)

    waiting = begin("GET", f"{COMMANDS}/{action_id}?wait=20")
    finish(fleet.sessions, action_id, ActionStatus.RECEIVED)
    finish(fleet.sessions, action_id, ActionStatus.EXPIRED, reason="Too late", reason_code="action_expired")

    assert waiting.result(10).json["status"] == "expired"


@pytest.mark.parametrize("action_id", ["1", "999999999999999999", "0x1", "abc", "1" * 19, "-1"])
def test_an_unknown_action_is_not_found(fleet: Fleet, action_id: str) -> None:
    assert fleet.get(f"{COMMANDS}/{action_id}").status_code == 404


def test_the_actions_of_a_deleted_charger_are_gone(fleet: Fleet, charger_id: str) -> None:
    action_id = _plug(fleet, charger_id)
    fleet.delete(f"/ocpp/chargers/{charger_id}")

    assert fleet.get(f"{COMMANDS}/{action_id}").status_code == 404
    assert fleet.get(COMMANDS).json["data"] == []


def _ids(fleet: Fleet, query: str = "", **kwargs: Any) -> list[str]:
    return [row["id"] for row in fleet.get(f"{COMMANDS}?{query}", **kwargs).json["data"]]


def test_lists_are_filtered_and_have_the_newest_first(fleet: Fleet, charger_id: str) -> None:
    labels = {"run": "1"}
    other = fleet.ready(identity="CP-2", location_id="here", labels=labels)
    foreign = fleet.ready("globex", labels=labels)
    queued, applied = _plug(fleet, charger_id), _plug(fleet, charger_id)
    finish(fleet.sessions, applied, ActionStatus.APPLIED)
    failed = _plug(fleet, other)
    fleet.post(PLUG, organization="globex", json={"target": {"charger_id": foreign}})

    page = fleet.get(f"{COMMANDS}?limit=2&page=2").json

    assert _ids(fleet) == [failed, applied, queued]
    assert _ids(fleet, f"charger_id={charger_id}") == [applied, queued]
    assert _ids(fleet, "location_id=here") == [failed]
    assert _ids(fleet, "labels=run:1") == _ids(fleet, "labels=run") == [failed]
    assert _ids(fleet, "labels=run:2") == []
    assert _ids(fleet, "status=queued,failed") == [failed, queued]
    assert _ids(fleet, f"charger_id={charger_id}&status=applied") == [applied]
    assert _ids(fleet, f"charger_id={foreign}") == []
    assert len(_ids(fleet, organization="globex")) == 1
    assert ([row["id"] for row in page["data"]], page["total"], page["page"], page["limit"]) == (
        [queued],
        3,
        2,
        2,
    )


def test_a_list_ends_after_the_newest_matches(
    fleet: Fleet, charger_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read, "MAX_LISTED", 3)
    newest = [_plug(fleet, charger_id) for _ in range(5)][:1:-1]

    first, second = (fleet.get(f"{COMMANDS}?limit=2&page={page}").json for page in (1, 2))

    assert [row["id"] for row in first["data"] + second["data"]] == newest
    assert (first["total"], fleet.get(f"{COMMANDS}?page=999999999").json["data"]) == (3, [])


def test_the_event_stream_shows_actions_when_they_are_queued_and_when_they_are_final(
    fleet: Fleet, watch: Watch, charger_id: str
) -> None:
    watching = watch(charger_id)
    assert watching.next().event == "snapshot"

    action_id = _plug(fleet, charger_id)
    queued = watching.next()
    finish(fleet.sessions, action_id, ActionStatus.RECEIVED)
    finish(fleet.sessions, action_id, ActionStatus.REJECTED, reason="No", reason_code="action_rejected")
    final = watching.next()

    assert (queued.event, final.event) == ("action", "action")
    assert (
        queued.data.items() >= {"id": action_id, "event_type": "plug_connector", "status": "queued"}.items()
    )
    assert final.data.items() >= {"status": "rejected", "reason": "No", "result": None}.items()


def test_a_change_of_a_final_action_is_no_event(fleet: Fleet, watch: Watch, charger_id: str) -> None:
    action_id = _plug(fleet, charger_id)
    finish(fleet.sessions, action_id, ActionStatus.APPLIED)
    watching = watch(charger_id)
    watching.next()

    with fleet.sessions.begin() as session:
        session.execute(update(Action).where(Action.id == int(action_id)).values(request_id="other"))
    other = _plug(fleet, charger_id)

    assert watching.next().data["id"] == other
