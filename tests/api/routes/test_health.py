"""What probes get, also while the database or the broker is unavailable."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from time import monotonic

import pytest
from flask.testing import FlaskClient
from sqlalchemy import make_url, text

from api.live import readiness
from shared.database.engine import Sessions, make_engine
from shared.settings import Settings
from tests.api.conftest import client_of, closed_port, note_runs
from tests.support.fleet import NEW_CHARGER, Fleet


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def with_silent_database(settings: Settings, silent_port: int) -> Iterator[FlaskClient]:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=silent_port)
    yield from client_of(replace(settings, database_url=url.render_as_string(hide_password=False)))


@pytest.fixture
def without_broker(settings: Settings) -> Iterator[FlaskClient]:
    yield from client_of(replace(settings, broker_url=f"redis://127.0.0.1:{closed_port()}/0"))


@pytest.fixture
def with_silent_broker(settings: Settings, silent_port: int) -> Iterator[FlaskClient]:
    yield from client_of(replace(settings, broker_url=f"redis://127.0.0.1:{silent_port}/0"))


def test_health_is_a_flat_object_of_strings(client: FlaskClient) -> None:
    answer = client.get("/health")

    assert answer.status_code == 200
    assert answer.get_json().items() >= {"status": "ok"}.items()
    assert all(isinstance(value, str) for value in answer.get_json().values())


def test_a_service_with_its_parts_is_ready(client: FlaskClient, sessions: Sessions) -> None:
    note_runs(sessions)

    answer = client.get("/ready")

    assert (answer.status_code, answer.json) == (
        200,
        {"status": "ready", "broker": "ok", "maintenance": "ok"},
    )


def test_maintenance_that_does_not_run_is_reported_but_ready_stays_200(
    client: FlaskClient, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "KEEP_S", 0.0)

    never = client.get("/ready")
    note_runs(sessions, seconds_ago=100)
    not_lately = client.get("/ready")
    note_runs(sessions)
    again = client.get("/ready")

    assert [answer.status_code for answer in (never, not_lately, again)] == [200, 200, 200]
    assert "maintenance.sweep has not succeeded yet" in never.get_json()["maintenance"]
    assert not_lately.get_json()["maintenance"].startswith(
        "maintenance.sweep has not succeeded for more than 66 s; maintenance.run_jobs has"
    )
    assert again.get_json()["maintenance"] == "ok"


def test_without_its_database_a_service_is_not_ready_and_says_so(without_database: FlaskClient) -> None:
    answer = without_database.get("/ready")

    assert answer.status_code == 503
    assert answer.get_json()["detail"] == "The database is not available"
    assert int(answer.headers["Retry-After"]) > 0
    assert without_database.get("/health").status_code == 200


def test_a_database_that_does_not_answer_holds_no_probe_for_long(with_silent_database: FlaskClient) -> None:
    started = monotonic()

    answers = [with_silent_database.get("/ready") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert "within 2 s" in answers[0].get_json()["detail"]
    assert monotonic() - started < 6


def test_a_database_without_tables_is_reported_differently_from_an_unavailable_one(
    settings: Settings,
) -> None:
    url = make_url(settings.database_url).set(database="postgres")
    for client in client_of(replace(settings, database_url=url.render_as_string(hide_password=False))):
        answer = client.get("/ready")

        assert (answer.status_code, answer.get_json()["detail"]) == (
            503,
            "The database has not been migrated: run chargehand migrate",
        )


def test_a_database_that_takes_no_writes_is_not_ready(
    settings: Settings, new_database: Callable[[], str]
) -> None:
    url = new_database()
    engine = make_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")
        )
    engine.dispose()

    for client in client_of(replace(settings, database_url=url)):
        answer = client.get("/ready")

        assert (answer.status_code, answer.get_json()["detail"]) == (503, "The database is read-only")


def test_an_unavailable_broker_is_reported_but_ready_stays_200(without_broker: FlaskClient) -> None:
    answer = without_broker.get("/ready")

    assert answer.status_code == 200
    assert answer.get_json()["status"] == "ready"
    assert answer.get_json()["broker"] == "The broker is not available"


def test_the_error_of_a_broker_that_refuses_is_reported(settings: Settings, redis_url: str) -> None:
    """No loss of connection, and so no error that a publish is prepared for."""
    for client in client_of(replace(settings, broker_url=f"{redis_url.rpartition('/')[0]}/99")):
        answers = [client.get("/ready") for _ in range(2)]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert all("DB index is out of range" in answer.get_json()["broker"] for answer in answers)


def test_a_broker_that_does_not_answer_is_reported_in_bounded_time(with_silent_broker: FlaskClient) -> None:
    started = monotonic()

    answer = with_silent_broker.get("/ready")

    assert answer.status_code == 200
    assert answer.get_json()["broker"] != "ok"
    assert monotonic() - started < 4


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/ocpp/chargers"),
        ("POST", "/ocpp/chargers"),
        ("GET", "/ocpp/chargers/dep-1"),
        ("PUT", "/ocpp/chargers/dep-1"),
        ("DELETE", "/ocpp/chargers/dep-1"),
        ("POST", "/ocpp/chargers/dep-1/stop-charger"),
        ("GET", "/ocpp/chargers/dep-1/logs"),
        ("GET", "/ocpp/chargers/dep-1/commands"),
        ("GET", "/ocpp/catalog/brands"),
    ],
)
def test_without_its_database_every_route_answers_503_with_retry_after(
    without_database: FlaskClient, fleet: Fleet, method: str, path: str
) -> None:
    body = {"name": "new"} if method == "PUT" else NEW_CHARGER
    answer = without_database.open(path, method=method, json=body, headers=fleet.headers())

    assert answer.status_code == 503
    assert answer.json == {"detail": "The database is not available"}
    assert int(answer.headers["Retry-After"]) > 0


def test_an_internal_error_is_json_and_reveals_no_detail(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("api.routes.charger_list.list_chargers", fail)

    answer = fleet.get("/ocpp/chargers")

    assert (answer.status_code, answer.json) == (500, {"detail": "Internal server error"})
    assert answer.headers["X-Request-Id"]
