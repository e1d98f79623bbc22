"""Commands to a charger, or to all of a location: counts, and a command for each charger (contract 9.2)."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, update

from api.resources import Resources
from shared.models import Charger, ControlLink, Location
from shared.vocabulary import ActionStatus, ProvisioningStatus
from tests.support.control import BOOT, actions_of, connect, connect_copies, disconnect, finish
from tests.support.fleet import Fleet

PLUG = "/ocpp/commands/plug-connector"
HERE = "4090477f-a416-4515-a302-97aa344a0a2a"

InBackground = Callable[..., Future[Any]]


def _plug(charger_id: str, **event: Any) -> dict[str, Any]:
    return {"json": {"target": {"charger_id": charger_id}, "event": event}}


def _plug_all(location_id: str = HERE, **more: Any) -> dict[str, Any]:
    return {"json": {"target": {"location_id": location_id, **more}}}


def test_a_command_is_queued_for_a_connected_charger(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)

    answer = fleet.post(PLUG, **_plug(charger_id, evse_id=None, connector_id=1.0))

    [row] = actions_of(fleet.sessions, charger_id)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/ocpp/commands/{row.id}"
    assert answer.json == {
        "targeted_count": 1,
        "queued_count": 1,
        "failed_count": 0,
        "results": [
            {
                "charger_id": charger_id,
                "identity": "CP-TEST-001",
                "command": {
                    "id": str(row.id),
                    "event_type": "plug_connector",
                    "ocpp_version": "ocpp1.6",
                    "payload": {"evse_id": None, "connector_id": 1},
                    "status_url": f"/ocpp/commands/{row.id}",
                },
            }
        ],
        "failed": [],
    }
    assert (row.status, row.boot_id, row.event) == ("queued", BOOT, {"evse_id": None, "connector_id": 1})
    assert (row.expires_at - row.created_at).total_seconds() == 30
    assert row.request_id == answer.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"desired_count": 0}, "charger_stopped", "The charger is stopped: start it first"),
        (
            {"provisioning_status": ProvisioningStatus.FAILED},
            "charger_not_ready",
            "The charger is FAILED: it has no runtime",
        ),
        (
            {"reason": "The image cannot be pulled"},
            "charger_not_connected",
            "The charger is not connected to the control link: The image cannot be pulled",
        ),
    ],
    ids=["stopped", "failed", "does not run"],
)
def test_a_charger_that_cannot_get_it_is_a_failed_item_at_once(
    fleet: Fleet, changes: dict[str, Any], code: str, reason: str
) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, **changes)

    answer = fleet.post(f"{PLUG}?wait=60", **_plug(charger_id))

    [row] = actions_of(fleet.sessions, charger_id)
    assert answer.status_code == 200
    assert (answer.json["queued_count"], answer.json["failed_count"]) == (0, 1)
    assert answer.json["failed"] == [
        {
            "charger_id": charger_id,
            "identity": "CP-TEST-001",
            "error": reason,
            "code": code,
            "command_id": str(row.id),
        }
    ]
    assert (row.status, row.reason, row.reason_code) == ("failed", reason, code)
    assert row.finished_at is not None


def test_a_charger_whose_process_or_whose_link_is_gone_is_not_connected(fleet: Fleet) -> None:
    left, abandoned = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    connect(fleet.sessions, left, abandoned)
    disconnect(fleet.sessions, left)

    of_left = fleet.post(PLUG, **_plug(left))
    of_connected = fleet.post(PLUG, **_plug(abandoned))
    with fleet.sessions.begin() as session:  # as if the process of the link had been killed
        session.execute(update(ControlLink).values(seen_at="2026-01-01T00:00:00Z"))
    of_abandoned = fleet.post(PLUG, **_plug(abandoned))

    assert [answer.json["failed_count"] for answer in (of_left, of_connected, of_abandoned)] == [1, 0, 1]
    assert of_abandoned.json["failed"][0]["code"] == "charger_not_connected"


def test_a_charger_with_a_hundred_open_commands_gets_no_further_one(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)
    answers = [fleet.post(PLUG, **_plug(charger_id)) for _ in range(101)]

    [failure] = answers[-1].json["failed"]
    first = answers[0].json["results"][0]["command"]["id"]
    finish(fleet.sessions, first, ActionStatus.APPLIED)
    again = fleet.post(PLUG, **_plug(charger_id))

    assert [answer.json["queued_count"] for answer in answers] == [1] * 100 + [0]
    assert failure["code"] == "too_many_open_actions"
    assert again.json["queued_count"] == 1


def test_a_location_is_all_its_chargers_or_those_that_are_named(fleet: Fleet) -> None:
    here = [fleet.ready(identity=f"CP-{number}", location_id=HERE) for number in range(3)]
    elsewhere = fleet.ready(identity="CP-ELSEWHERE", location_id="elsewhere")
    foreign = fleet.ready("globex", location_id=HERE)
    connect(fleet.sessions, here[0], here[1], elsewhere, foreign)

    of_all = fleet.post(PLUG, **_plug_all())
    of_some = fleet.post(PLUG, **_plug_all(charger_ids=[here[1], elsewhere, foreign, here[1]]))
    of_none = fleet.post(PLUG, **_plug_all(charger_ids=["dep-unknown"]))

    assert [result["charger_id"] for result in of_all.json["results"]] == here[:2]
    assert [failure["charger_id"] for failure in of_all.json["failed"]] == here[2:]
    assert [result["charger_id"] for result in of_some.json["results"]] == [here[1]]
    assert of_some.json["targeted_count"] == 3
    assert of_some.json["failed"] == [
        {
            "charger_id": charger_id,
            "identity": None,
            "error": f"The location has no charger {charger_id}",
            "code": "charger_not_in_location",
            "command_id": None,
        }
        for charger_id in (elsewhere, foreign)
    ]
    assert (of_none.status_code, of_none.json["failed_count"]) == (202, 1)
    assert actions_of(fleet.sessions, elsewhere, foreign) == []


@pytest.mark.parametrize("target", [{"charger_id": "dep-unknown"}, {"location_id": "nowhere"}], ids=str)
def test_an_unknown_target_is_not_found(fleet: Fleet, target: dict[str, str]) -> None:
    assert fleet.post(PLUG, json={"target": target}).status_code == 404


def test_a_deleted_charger_is_not_found(fleet: Fleet) -> None:
    charger_id = fleet.ready(location_id=HERE)
    connect(fleet.sessions, charger_id)
    fleet.delete(f"/ocpp/chargers/{charger_id}")

    assert fleet.post(PLUG, **_plug(charger_id)).status_code == 404
    assert fleet.post(PLUG, **_plug_all()).json["targeted_count"] == 0


def test_a_location_without_chargers_has_nothing_to_act_on_and_a_deleted_one_is_not_found(
    fleet: Fleet,
) -> None:
    empty, left = fleet.locate(), fleet.locate()
    connect(fleet.sessions, fleet.ready(location_id=left))
    with fleet.sessions.begin() as session:
        session.execute(update(Location).where(Location.id == left).values(deleted_at=func.now()))

    nothing = fleet.post(PLUG, **_plug_all(empty))
    gone = fleet.post(PLUG, **_plug_all(left))

    assert (nothing.status_code, gone.status_code) == (202, 404)
    counts = {"targeted_count": 0, "queued_count": 0, "failed_count": 0, "results": [], "failed": []}
    assert nothing.json == counts


def test_a_thousand_chargers_are_recorded_by_one_statement_and_one_hint(
    fleet: Fleet, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    charger_id = fleet.ready(location_id=HERE)
    fleet.multiply(charger_id, 999)
    with fleet.sessions() as session:
        charger_ids = [row.id for row in session.query(Charger.id)]
    connect_copies(fleet.sessions, charger_ids)
    given: list[None] = []
    monkeypatch.setattr(type(resources.hints), "give", lambda _: given.append(None))

    with _statements(resources.pools.accepting) as statements:
        answer = fleet.post(PLUG, **_plug_all())

    assert (answer.status_code, answer.json["queued_count"]) == (202, 1000)
    assert len(statements) == 1
    assert len(given) == 1


@contextmanager
def _statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that are executed while the block runs."""
    executed: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        executed.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield executed
    finally:
        event.remove(engine, "before_cursor_execute", note)


def test_with_wait_the_answer_shows_what_came_of_each(fleet: Fleet, begin: InBackground) -> None:
    first, second = (fleet.ready(identity=f"CP-{number}", location_id=HERE) for number in range(2))
    connect(fleet.sessions, first, second)

    waiting = begin("POST", f"{PLUG}?wait=20", **_plug_all())
    of_first, of_second = actions_of(fleet.sessions, first, second)
    finish(fleet.sessions, of_first.id, ActionStatus.APPLIED, result={"status": "Preparing"})
    finish(fleet.sessions, of_second.id, ActionStatus.REJECTED, reason="A car is plugged in already")
    answer = waiting.result(10)

    assert answer.status_code == 200
    assert [(result["status"], result["result"], result["reason"]) for result in answer.json["results"]] == [
        ("applied", {"status": "Preparing"}, None),
        ("rejected", None, "A car is plugged in already"),
    ]


def test_with_wait_an_answer_that_does_not_come_in_time_shows_what_is_known(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    connect(fleet.sessions, charger_id)

    answer = fleet.post(f"{PLUG}?wait=1&expires_in=300", **_plug(charger_id))

    [row] = actions_of(fleet.sessions, charger_id)
    assert answer.status_code == 202
    assert answer.json["results"][0]["status"] == "queued"
    assert (row.expires_at - row.created_at).total_seconds() == 300
