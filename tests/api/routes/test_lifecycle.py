"""Start, stop and restart, and the history of commands."""

from uuid import UUID, uuid4

import pytest
from flask import Flask

from shared.vocabulary import ProvisioningStatus
from tests.support.fleet import Fleet

EVENTS = [
    ("start-charger", "start_charger", 1),
    ("stop-charger", "stop_charger", 0),
    ("reset-charger", "reset_charger", 1),
    ("restart-charger", "reset_charger", 1),
]


@pytest.mark.parametrize(("action", "event_type", "desired_count"), EVENTS)
def test_a_lifecycle_call_answers_with_the_requested_service(
    fleet: Fleet, action: str, event_type: str, desired_count: int
) -> None:
    charger_id = fleet.ready()

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/{action}", json={})

    assert answer.status_code == 202
    command_id = answer.json["command_id"]
    assert answer.json == {
        "id": charger_id,
        "event_type": event_type,
        "ocpp_version": "OCPP1.6",
        "payload": {
            "provider": "aws",
            "runtime_kind": "ecs_service",
            "service_name": charger_id,
            "desired_count": desired_count,
            "status": "ACTIVE",
        },
        "command_id": command_id,
        "generation": 2,
        "status_url": f"/ocpp/chargers/{charger_id}/commands/{command_id}",
    }
    assert answer.headers["Location"] == answer.json["status_url"]


@pytest.mark.parametrize(("action", "event_type", "desired_count"), EVENTS)
def test_a_lifecycle_call_stores_the_desired_state_and_the_command(
    fleet: Fleet, action: str, event_type: str, desired_count: int
) -> None:
    charger_id = fleet.ready()

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/{action}", headers={"X-Request-Id": "request-7"})

    row, command = fleet.row(charger_id), fleet.commands(charger_id)[-1]
    assert (row.desired_count, row.generation) == (desired_count, 2)
    assert row.publish_at is not None
    assert command.id == UUID(answer.json["command_id"])
    assert (command.event_type, command.generation, command.status) == (event_type, 2, "queued")
    assert (command.requested_by, command.request_id) == ("tester", "request-7")


def test_a_repeat_of_an_open_command_is_that_command(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    first = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    again = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

    assert again.status_code == 202
    assert again.json == first.json
    assert len(fleet.commands(charger_id)) == 2


def test_another_request_is_another_command(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    answer = fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")

    assert answer.json["generation"] == 3


def test_a_restart_of_a_stopped_charger_starts_it(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    fleet.settle(charger_id, running_count=0)

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/reset-charger")

    assert answer.json["payload"]["desired_count"] == 1
    assert fleet.row(charger_id).desired_count == 1


def test_the_status_is_the_services_own_as_last_reported(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.settle(charger_id, service_status="DRAINING")

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")

    assert answer.json["payload"]["status"] == "DRAINING"


@pytest.mark.parametrize("action", [action for action, *_ in EVENTS])
@pytest.mark.parametrize(
    "status", [ProvisioningStatus.PENDING, ProvisioningStatus.PROVISIONING, ProvisioningStatus.FAILED]
)
def test_a_charger_that_is_not_ready_takes_no_commands(
    fleet: Fleet, action: str, status: ProvisioningStatus
) -> None:
    charger_id = fleet.create()
    fleet.settle(charger_id, provisioning_status=status)

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/{action}")

    assert answer.status_code == 422
    (item,) = answer.json["detail"]
    assert (item["loc"], item["type"]) == (["path", "charger_id"], "value_error")
    assert len(fleet.commands(charger_id)) == 1


def test_the_history_lists_commands_newest_first(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/commands?limit=2")

    assert answer.status_code == 200
    assert [command["event_type"] for command in answer.json["data"]] == ["start_charger", "stop_charger"]
    assert (answer.json["total"], answer.json["page"], answer.json["limit"]) == (3, 1, 2)


def test_a_command_shows_its_result(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    accepted = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger", headers={"X-Request-Id": "request-7"})

    answer = fleet.get(accepted.json["status_url"])

    assert answer.status_code == 200
    command = answer.json
    assert command.pop("created_at").endswith("Z")
    assert command == {
        "id": accepted.json["command_id"],
        "charger_id": charger_id,
        "event_type": "stop_charger",
        "generation": 2,
        "status": "queued",
        "error": None,
        "reason": None,
        "attempts": 0,
        "requested_by": "tester",
        "request_id": "request-7",
        "applied_at": None,
        "finished_at": None,
        "held_since": None,
        "next_attempt_at": None,
        "queue": "lifecycle",
        "superseded_by": None,
    }


def test_a_command_is_found_under_its_own_charger_only(fleet: Fleet) -> None:
    one, other = fleet.ready(identity="CP-1"), fleet.ready(identity="CP-2")
    command_id = fleet.commands(one)[0].id

    assert fleet.get(f"/ocpp/chargers/{one}/commands/{command_id}").status_code == 200
    assert fleet.get(f"/ocpp/chargers/{other}/commands/{command_id}").status_code == 404
    assert fleet.get(f"/ocpp/chargers/{one}/commands/{uuid4()}").status_code == 404
    assert fleet.get(f"/ocpp/chargers/{one}/commands/not-a-uuid").status_code == 404


def test_a_message_goes_to_the_queue_after_the_commit(fleet: Fleet, app: Flask) -> None:
    publisher = app.extensions["chargehand"].publisher
    charger_id = fleet.ready()
    published: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(publisher, "publish", published.extend)

        answer = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
        repeat = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

    assert repeat.status_code == 202
    message = {
        "command_id": answer.json["command_id"],
        "charger_id": charger_id,
        "event_type": "stop_charger",
        "generation": 2,
        "payload": {"desired_count": 0},
    }
    assert published == [("charger.stop", message)] * 2


def test_a_rename_publishes_no_command_that_is_over(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    published: list[object] = []
    monkeypatch.setattr(
        "api.live.publisher.Publisher.publish", lambda _, messages: published.extend(messages)
    )
    charger_id = fleet.ready()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    fleet.finish(charger_id)
    published.clear()

    answer = fleet.put(f"/ocpp/chargers/{charger_id}", json={"charge_point_name": "Bay A02"})

    assert answer.status_code == 200
    assert published == []
