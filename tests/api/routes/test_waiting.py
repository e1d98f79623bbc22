"""A client may wait for the end of its command: the answer comes then, or when the time is up."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import sessionmaker

from api.limits.slots import Slots
from api.live.watcher import MAX_WOKEN_PER_POLL, Provisioning, Watcher, _Waiter
from api.resources import Resources
from shared.database.engine import Sessions
from shared.vocabulary import CommandStatus
from tests.api.conftest import InBackground
from tests.support.fleet import NEW_CHARGER, Fleet

ACTIONS = ["start-charger", "stop-charger", "reset-charger", "restart-charger"]
ERROR = {"code": "image_unavailable", "message": "The image cannot be pulled"}


@pytest.mark.parametrize("action", ACTIONS)
def test_a_command_that_ends_while_it_is_waited_for_is_answered_with_its_end(
    fleet: Fleet, begin: InBackground, action: str
) -> None:
    charger_id = fleet.ready()
    request = begin("POST", f"/ocpp/chargers/{charger_id}/{action}?wait=30")

    fleet.finish(charger_id)
    answer = request.result(5)

    assert answer.status_code == 200
    assert answer.json["command"]["id"] == answer.json["command_id"]
    assert answer.json["command"]["status"] == "succeeded"
    assert answer.json["generation"] == 2
    assert answer.headers["Location"] == answer.json["status_url"]


def test_a_command_that_fails_is_final_too(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    request = begin("POST", f"/ocpp/chargers/{charger_id}/start-charger?wait=30")

    fleet.finish(charger_id, CommandStatus.FAILED, ERROR)
    answer = request.result(5)

    assert answer.status_code == 200
    assert answer.json["command"]["status"] == "failed"
    assert answer.json["command"]["error"]["code"] == "image_unavailable"


def test_a_command_that_does_not_end_in_time_is_answered_as_accepted(fleet: Fleet) -> None:
    charger_id = fleet.ready()
    started = monotonic()

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger?wait=1")

    assert answer.status_code == 202
    assert "command" not in answer.json
    assert 1 <= monotonic() - started < 3


def test_a_create_that_ends_while_the_client_waits_shows_the_charger_ready(
    fleet: Fleet, begin: InBackground
) -> None:
    request = begin("POST", "/ocpp/chargers?wait=30", json=NEW_CHARGER)
    charger_id = fleet.get("/ocpp/chargers").json["data"][0]["id"]

    fleet.finish(charger_id)
    answer = request.result(5)

    assert answer.status_code == 200
    assert (answer.json["charger_id"], answer.json["status"]) == (charger_id, "READY")
    assert answer.json["command"]["status"] == "succeeded"


def test_a_create_that_takes_longer_is_answered_as_it_is(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers?wait=1", json=NEW_CHARGER)

    assert answer.status_code == 202
    assert answer.json["status"] == "PENDING"
    assert "command" not in answer.json


def test_a_client_can_wait_for_an_earlier_command(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.ready()
    url = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger").json["status_url"]
    request = begin("GET", f"{url}?wait=30")

    fleet.finish(charger_id)

    assert request.result(5).json["status"] == "succeeded"


def test_one_can_wait_for_a_charger_to_be_provisioned(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.create()
    request = begin("GET", f"/ocpp/chargers/{charger_id}/status?wait=30")

    fleet.finish(charger_id, CommandStatus.FAILED, ERROR)
    answer = request.result(5)

    assert (answer.status_code, answer.json["status"]) == (200, "FAILED")


def test_what_is_still_open_at_the_deadline_is_answered_as_it_is(fleet: Fleet) -> None:
    charger_id = fleet.create()
    (command,) = fleet.commands(charger_id)

    status = fleet.get(f"/ocpp/chargers/{charger_id}/status?wait=1")
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/commands/{command.id}?wait=1")

    assert (status.status_code, status.json["status"]) == (200, "PENDING")
    assert (answer.status_code, answer.json["status"]) == (200, "queued")


def test_what_is_final_already_is_not_waited_for(fleet: Fleet) -> None:
    charger_id = fleet.create()
    fleet.finish(charger_id)
    (command,) = fleet.commands(charger_id)
    started = monotonic()

    status = fleet.get(f"/ocpp/chargers/{charger_id}/status?wait=60")
    answer = fleet.get(f"/ocpp/chargers/{charger_id}/commands/{command.id}?wait=60")

    assert (status.json["status"], answer.json["status"]) == ("READY", "succeeded")
    assert monotonic() - started < 2


def test_a_client_that_waits_for_a_deleted_charger_gets_a_404(fleet: Fleet, begin: InBackground) -> None:
    charger_id = fleet.create()
    request = begin("GET", f"/ocpp/chargers/{charger_id}/status?wait=30")

    fleet.delete(f"/ocpp/chargers/{charger_id}")

    assert request.result(5).status_code == 404


def test_a_repeated_request_can_wait_for_the_end_of_the_first(fleet: Fleet, begin: InBackground) -> None:
    """The first answer was lost on its way."""
    charger_id = fleet.ready()
    path, key = f"/ocpp/chargers/{charger_id}/stop-charger?wait=30", {"Idempotency-Key": "key-1"}
    first = begin("POST", path, headers=key)
    again = begin("POST", path, headers=key)

    fleet.finish(charger_id)

    assert again.result(5).data == first.result(5).data
    assert again.result().json["command"]["status"] == "succeeded"
    assert again.result().headers["Idempotent-Replayed"] == "true"


def test_waiting_requests_hold_no_database_connection(
    fleet: Fleet, begin: InBackground, resources: Resources
) -> None:
    """The app of these tests has four."""
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(20)]
    requests = [begin("POST", f"/ocpp/chargers/{charger}/stop-charger?wait=30") for charger in chargers]

    answer = fleet.get("/ocpp/chargers?limit=1")
    for charger in chargers:
        fleet.finish(charger)

    assert answer.status_code == 200
    assert [request.result(10).status_code for request in requests] == [200] * 20
    assert resources.watcher.waiting == 0


@pytest.mark.parametrize("wait", ["-1", "61", "abc", "1.5", "", "1&wait=2"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/ocpp/chargers"),
        *(("POST", f"/ocpp/chargers/dep-1/{action}") for action in ACTIONS),
        ("GET", "/ocpp/chargers/dep-1/status"),
        ("GET", "/ocpp/chargers/dep-1/commands/95d49fd4-3e43-48fc-93aa-24587f6edc07"),
    ],
)
def test_wait_is_a_whole_number_of_seconds_up_to_60(fleet: Fleet, method: str, path: str, wait: str) -> None:
    answer = fleet.request(method, f"{path}?wait={wait}", json=NEW_CHARGER if method == "POST" else None)

    assert answer.status_code == 422
    assert answer.json["detail"][0]["loc"] == ["query", "wait"]


def test_of_an_organization_only_some_go_on_at_once(fleet: Fleet, sessions: Sessions) -> None:
    """Hundreds that wait for one charger are no reason for others to wait."""
    watcher = Watcher(sessionmaker(sessions.kw["bind"]), Slots(100, 100))
    charger_id = fleet.ready()

    def poll() -> Counter[str]:
        watcher._poll()
        return Counter(waiter.organization_id for waiter in watcher._waiters)

    for number in range(MAX_WOKEN_PER_POLL + 6):
        watcher._waiters.add(_Waiter(Provisioning(charger_id), "acme" if number else "globex"))

    assert poll() == {"acme": 5}
    assert poll() == {}


def test_closing_the_watcher_wakes_all_waiters_and_refuses_new_ones(fleet: Fleet, sessions: Sessions) -> None:
    charger_id = fleet.create()
    (command,) = fleet.commands(charger_id)
    watcher = Watcher(sessions, Slots(10, 10))
    started = monotonic()
    with ThreadPoolExecutor(2) as pool:
        waiting = [
            pool.submit(watcher.wait, each, 30, organization_id="acme")
            for each in (command.id, Provisioning(charger_id))
        ]
        while watcher.waiting < 2:
            sleep(0.005)

        watcher.close()
        watcher.wait(command.id, 30, organization_id="acme")

    assert all(future.done() for future in waiting)
    assert monotonic() - started < 5


@pytest.mark.parametrize("path", ["/reset-charger", ""])
def test_what_is_on_record_is_answered_so_though_the_database_goes_away_meanwhile(
    fleet: Fleet, engine: Engine, begin: InBackground, path: str
) -> None:
    """A 503 would make the client send it again, for another restart."""
    if path:
        request = begin("POST", f"/ocpp/chargers/{fleet.ready()}{path}?wait=1")
    else:
        request = begin("POST", "/ocpp/chargers?wait=1", json=NEW_CHARGER)

    with nobody_gets_in(engine):
        answer = request.result(15)

    assert answer.status_code == 202
    assert answer.json["generation"] == (2 if path else 1)


def test_a_create_whose_command_cannot_be_read_any_more_is_answered_as_accepted(
    fleet: Fleet, begin: InBackground, resources: Resources
) -> None:
    request = begin("POST", "/ocpp/chargers?wait=30", json=NEW_CHARGER)
    charger_id = fleet.get("/ocpp/chargers").json["data"][0]["id"]

    @event.listens_for(resources.pools.reading, "before_cursor_execute")
    def fail(_c: Any, _cursor: Any, statement: str, _p: Any, _context: Any, _many: bool) -> None:
        if (
            " FROM commands " in statement.replace("\n", " ") and "commands.requested_by" in statement
        ):  # the whole row
            raise OperationalError(statement, None, Exception("the server ended the connection"))

    try:
        fleet.finish(charger_id)
        answer = request.result(10)
    finally:
        event.remove(resources.pools.reading, "before_cursor_execute", fail)

    assert answer.status_code == 202
    assert answer.json["charger_id"] == charger_id
    assert "command" not in answer.json


@contextmanager
def nobody_gets_in(engine: Engine) -> Iterator[None]:
    """The database ends every connection and accepts none."""
    server = create_engine(engine.url.set(database="postgres"), isolation_level="AUTOCOMMIT")
    name = engine.url.database
    with server.connect() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false'))
        connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        try:
            yield
        finally:
            connection.execute(text(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true'))
    server.dispose()


@pytest.mark.parametrize("bound", ["max_slots", "max_per_organization"])
def test_a_request_above_the_limit_of_waits_is_answered_at_once(
    fleet: Fleet, begin: InBackground, resources: Resources, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(resources.watcher._slots, bound, 2)
    chargers = [fleet.ready(identity=f"CP-{number}") for number in range(3)]
    waiting = [begin("POST", f"/ocpp/chargers/{one}/stop-charger?wait=30") for one in chargers[:2]]
    started = monotonic()

    stored = fleet.post(f"/ocpp/chargers/{chargers[2]}/stop-charger?wait=30")
    read = fleet.get(f"{stored.json['status_url']}?wait=30")
    took_s = monotonic() - started
    for charger_id in chargers:
        fleet.finish(charger_id)
    again = fleet.get(f"{stored.json['status_url']}?wait=30")

    assert (stored.status_code, stored.headers["Wait-Skipped"]) == (202, "true")
    assert (read.json["status"], read.headers["Wait-Skipped"]) == ("queued", "true")
    assert took_s < 5
    assert [one.result(10).status_code for one in waiting] == [200, 200]
    assert "Wait-Skipped" not in waiting[0].result().headers
    assert again.json["status"] == "succeeded"


def test_an_organization_that_waits_a_lot_leaves_slots_for_others(
    fleet: Fleet, begin: InBackground, resources: Resources, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources.watcher._slots, "max_per_organization", 1)
    charger_id, other = fleet.ready(), fleet.ready("globex")
    waiting = [
        begin("POST", f"/ocpp/chargers/{charger_id}/stop-charger?wait=30"),
        begin("POST", f"/ocpp/chargers/{other}/stop-charger?wait=30", headers=fleet.headers("globex")),
    ]

    fleet.finish(charger_id)
    fleet.finish(other)

    assert [one.result(10).status_code for one in waiting] == [200, 200]
