"""A client may wait until the CSMS has accepted its charger, or until that can no longer happen."""

from time import monotonic
from typing import Any

import pytest

from api.resources import Resources
from shared.vocabulary import CommandStatus
from tests.api.conftest import InBackground
from tests.support.fleet import NEW_CHARGER, Fleet

UNTIL = "wait=30&until=accepted"
RUNS: dict[str, Any] = {"running_count": 1, "provisioning_status": "READY"}
ERROR = {"code": "image_unavailable", "message": "The image cannot be pulled"}


def boot(fleet: Fleet, charger_id: str, task: str, state: str = "accepted") -> None:
    """What workers write when the task runs and its log says what its link is."""
    fleet.finish(charger_id)
    fleet.settle(
        charger_id,
        **RUNS,
        running_task_arn=f"arn:aws:ecs:us-east-1:123456789012:task/chargehand/{task}",
        running_task_generation=fleet.row(charger_id).generation,
    )
    fleet.link(charger_id, state, task)


def test_a_create_is_answered_when_the_charger_is_accepted(fleet: Fleet, begin: InBackground) -> None:
    request = begin("POST", f"/ocpp/chargers?{UNTIL}", json=NEW_CHARGER)
    charger_id = fleet.get("/ocpp/chargers").json["data"][0]["id"]

    boot(fleet, charger_id, "first")
    answer = request.result(5)

    assert answer.status_code == 200
    assert (answer.json["charger_id"], answer.json["status"]) == (charger_id, "READY")
    assert answer.json["runtime"]["ocpp"]["state"] == "accepted"
    assert answer.json["command"]["status"] == "succeeded"


@pytest.mark.parametrize("action", ["start-charger", "reset-charger", "restart-charger"])
def test_a_start_or_restart_waits_for_the_boot_of_its_own_task(
    fleet: Fleet, begin: InBackground, action: str
) -> None:
    charger_id = fleet.ready()
    boot(fleet, charger_id, "old")
    request = begin("POST", f"/ocpp/chargers/{charger_id}/{action}?{UNTIL}")

    boot(fleet, charger_id, "new", "connecting")
    fleet.link(charger_id, "accepted", "old")
    early = fleet.get(f"/ocpp/chargers/{charger_id}?wait=1&until=accepted")
    waits_on = not request.done()
    boot(fleet, charger_id, "new")
    answer = request.result(5)

    assert waits_on
    assert early.status_code == 200
    assert (answer.status_code, answer.json["command"]["status"]) == (200, "succeeded")
    assert answer.json["runtime"]["generation"] == answer.json["generation"] == 2


def test_an_accepted_charger_is_read_at_once(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    boot(fleet, charger_id, "first")
    started = monotonic()

    answer = fleet.get(f"/ocpp/chargers/{charger_id}?wait=60&until=accepted")

    assert answer.json["runtime"]["ocpp"]["state"] == "accepted"
    assert monotonic() - started < 5


def test_a_charger_can_be_read_when_its_newest_command_is_final(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    request = begin("GET", f"/ocpp/chargers/{charger_id}?wait=30")

    fleet.finish(charger_id)
    answer = request.result(5)
    again = fleet.get(f"/ocpp/chargers/{charger_id}?wait=60&until=final")

    assert (answer.status_code, answer.json["runtime"]["desired"]) == (200, "stopped")
    assert again.json["id"] == charger_id


def test_at_the_deadline_the_answer_says_why_the_charger_is_not_accepted(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    fleet.link(charger_id, "disconnected", reason="nothing listens on csms.test:80")

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/reset-charger?wait=1&until=accepted")
    read = fleet.get(f"/ocpp/chargers/{charger_id}?wait=1&until=accepted")

    assert answer.status_code == 202
    assert answer.json["runtime"]["ocpp"]["reason"] == "nothing listens on csms.test:80"
    assert "command" not in answer.json
    assert (read.status_code, read.json["runtime"]) == (200, answer.json["runtime"])


def test_a_create_that_fails_is_not_waited_for_any_longer(fleet: Fleet, begin: InBackground) -> None:
    request = begin("POST", f"/ocpp/chargers?{UNTIL}", json=NEW_CHARGER)
    charger_id = fleet.get("/ocpp/chargers").json["data"][0]["id"]

    fleet.finish(charger_id, CommandStatus.FAILED, ERROR)
    answer = request.result(5)

    assert (answer.status_code, answer.json["status"]) == (202, "FAILED")
    assert answer.json["command"]["error"]["code"] == "image_unavailable"
    assert fleet.get(f"/ocpp/chargers/{charger_id}?wait=60&until=accepted").status_code == 200


def test_a_restart_that_fails_is_not_waited_for_any_longer(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    request = begin("POST", f"/ocpp/chargers/{charger_id}/reset-charger?{UNTIL}")

    fleet.finish(charger_id, CommandStatus.FAILED, ERROR)
    answer = request.result(5)

    assert (answer.status_code, answer.json["command"]["status"]) == (202, "failed")


def test_a_stop_ends_the_wait_for_a_start_and_for_the_charger(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    start = begin("POST", f"/ocpp/chargers/{charger_id}/start-charger?{UNTIL}")
    read = begin("GET", f"/ocpp/chargers/{charger_id}?{UNTIL}")

    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

    assert start.result(5).status_code == 202
    assert start.result().json["runtime"]["desired"] == "stopped"
    assert read.result(5).json["runtime"]["desired"] == "stopped"


def test_a_charger_that_is_deleted_is_not_waited_for_any_longer(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    start = begin("POST", f"/ocpp/chargers/{charger_id}/start-charger?{UNTIL}")
    read = begin("GET", f"/ocpp/chargers/{charger_id}?{UNTIL}")

    fleet.delete(f"/ocpp/chargers/{charger_id}")

    assert (start.result(5).status_code, read.result(5).status_code) == (202, 404)
    assert "runtime" not in start.result().json


def test_a_repeat_with_its_key_waits_for_the_boot_of_the_first(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    path, key = f"/ocpp/chargers/{charger_id}/reset-charger", {"Idempotency-Key": "key-1"}
    fleet.post(path, headers=key)
    again = begin("POST", f"{path}?{UNTIL}", headers=key)

    boot(fleet, charger_id, "new")
    answer = again.result(5)
    fleet.post(f"/ocpp/chargers/{charger_id}/start-charger")
    late = fleet.post(f"{path}?{UNTIL}", headers=key)

    assert (answer.status_code, answer.json["generation"]) == (200, 2)
    assert answer.headers["Idempotent-Replayed"] == "true"
    assert (late.status_code, late.json["command"]["status"]) == (202, "succeeded")


def test_many_wait_for_several_things_with_one_query(
    fleet: Fleet, begin: InBackground, resources: Resources
) -> None:
    """The app of these tests has four connections."""
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(10)]
    restarts = [begin("POST", f"/ocpp/chargers/{each}/reset-charger?{UNTIL}") for each in chargers]
    reads = [begin("GET", f"/ocpp/chargers/{each}?{UNTIL}") for each in chargers]
    finals = [begin("GET", f"/ocpp/chargers/{each}?wait=30") for each in chargers]

    for charger_id in chargers:
        boot(fleet, charger_id, "new")

    assert {request.result(10).status_code for request in restarts + reads + finals} == {200}
    assert resources.watcher.waiting == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ocpp/chargers"),
        ("POST", "/ocpp/chargers/dep-1/start-charger"),
        ("POST", "/ocpp/chargers/dep-1/stop-charger"),
        ("POST", "/ocpp/chargers/dep-1/reset-charger"),
        ("POST", "/ocpp/chargers/dep-1/restart-charger"),
        ("GET", "/ocpp/chargers/dep-1"),
    ],
)
@pytest.mark.parametrize(
    "query", ["until=final", "wait=0&until=final", "wait=5&until=ready", "wait=5&until="]
)
def test_until_needs_a_wait_and_a_word_that_it_knows(
    fleet: Fleet, method: str, path: str, query: str
) -> None:
    answer = fleet.request(method, f"{path}?{query}", json=NEW_CHARGER if method == "POST" else None)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", "until"]


def test_after_a_stop_there_is_nothing_to_be_accepted(fleet: Fleet) -> None:
    charger_id = fleet.ready()

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger?{UNTIL}")

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", "until"]
    assert "stop" in answer.json["detail"][0]["msg"]
    assert fleet.row(charger_id).desired_count == 1
