"""What probes and scrapers get, also while the database or the broker is unavailable."""

import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, make_url, text, update

from api.app import create_app
from api.live import metrics, readiness
from api.resources import Resources
from shared.database.engine import Sessions, make_engine
from shared.models import Charger, FleetSpec, LogCursor, MaintenanceRun
from shared.queues import QUEUE_OF, Queue
from shared.settings import Settings
from tests.api.conftest import NEW_CHARGER, Fleet
from tests.embedded.waiting import wait_until


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def client_of(settings: Settings) -> Iterator[FlaskClient]:
    app = create_app(settings)
    yield app.test_client()
    resources: Resources = app.extensions["chargehand"]
    resources.pools.dispose()


@pytest.fixture
def without_database(settings: Settings) -> Iterator[FlaskClient]:
    url = make_url(settings.database_url).set(host="127.0.0.1", port=closed_port())
    yield from client_of(replace(settings, database_url=url.render_as_string(hide_password=False)))


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


def note_runs(sessions: Sessions, *, seconds_ago: int = 0) -> None:
    """Every maintenance task succeeded then, and failed once before."""
    with sessions.begin() as session:
        at = func.now() - timedelta(seconds=seconds_ago)
        for task, queue in QUEUE_OF.items():
            if queue is Queue.MAINTENANCE:
                session.merge(
                    MaintenanceRun(
                        task=task, finished_at=at, succeeded_at=at, duration_s=0.25, failures=1, error="Once"
                    )
                )


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
        "maintenance.sweep has not succeeded for more than 66 s; maintenance.observe has"
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
    answer = without_database.open(path, method=method, json=NEW_CHARGER, headers=fleet.headers())

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


def _metric(client: FlaskClient, line: str) -> float:
    found = re.search(rf"^{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def test_requests_are_counted_by_route_and_status(fleet: Fleet) -> None:
    line = 'chargehand_http_requests_total{method="GET",route="/ocpp/chargers/<charger_id:charger_id>",status="404"}'
    before = _metric(fleet.client, line)

    fleet.get("/ocpp/chargers/dep-unknown-1")
    fleet.get("/ocpp/chargers/dep-unknown-2")

    assert _metric(fleet.client, line) == before + 2


def test_requests_of_made_up_methods_and_paths_are_counted_together(fleet: Fleet) -> None:
    line = 'chargehand_http_requests_total{method="other",route="unmatched",status="404"}'
    before = _metric(fleet.client, line)

    for number in range(3):
        fleet.request(f"METHOD{number}", f"/made/up/{number}")

    assert _metric(fleet.client, line) == before + 3


def test_open_commands_are_counted_by_age(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEEP_S", 0.0)
    charger_id = fleet.ready()
    with fleet.sessions.begin() as session:
        session.execute(text("UPDATE commands SET created_at = now() - interval '20 seconds'"))
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

    counts = [
        _metric(fleet.client, f'chargehand_open_commands{{older_than_s="{age}"}}') for age in (0, 15, 60)
    ]

    assert counts == [2, 1, 0]


def test_the_last_run_of_each_maintenance_task_is_a_metric(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "KEEP_S", 0.0)
    note_runs(fleet.sessions, seconds_ago=100)

    age, duration, failures = (
        _metric(fleet.client, f'chargehand_maintenance_{name}{{task="maintenance.sweep"}}')
        for name in ("age_seconds", "duration_seconds", "failures_total")
    )

    assert 100 <= age < 130
    assert (duration, failures) == (0.25, 1)


def test_the_lag_of_the_log_reader_is_a_figure(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEEP_S", 0.0)
    never = fleet.client.get("/metrics").text
    with fleet.sessions.begin() as session:
        through = func.now() - timedelta(seconds=95)
        session.add(LogCursor(log_group="/chargers", read_until_ms=0, read_through=through))

    assert "chargehand_log_lag_seconds " not in never
    assert 95 <= _metric(fleet.client, "chargehand_log_lag_seconds") < 125


def test_the_progress_of_a_rollout_is_counted(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEEP_S", 0.0)
    before_any_worker = "chargehand_rollout" in fleet.client.get("/metrics").text
    chargers = [fleet.ready(f"organization-{number}") for number in range(4)]
    with fleet.sessions.begin() as session:
        session.add(FleetSpec(hash="old", since=func.now() - timedelta(days=1)))
        session.add(FleetSpec(hash="new", paused_at=func.now()))
        for charger_id, have, to in zip(
            chargers, ("new", "new", "old", None), (None, "new", "new", None), strict=True
        ):
            values = {"spec_hash": have, "rollout_hash": to}
            session.execute(update(Charger).where(Charger.id == charger_id).values(values))

    counts = {
        spec: _metric(fleet.client, f'chargehand_rollout_chargers{{spec="{spec}"}}')
        for spec in ("current", "under_way", "other")
    }

    assert before_any_worker is False
    assert counts == {"current": 1, "under_way": 2, "other": 1}
    assert _metric(fleet.client, "chargehand_rollout_paused") == 1


def test_concurrent_scrapes_share_one_read_of_the_database(fleet: Fleet, app: Flask) -> None:
    resources: Resources = app.extensions["chargehand"]
    queries: list[str] = []
    wait_until(lambda: monotonic() - resources.database_metrics[0].read_at > metrics.KEEP_S)

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        queries.append(statement)

    event.listen(resources.pools.reading, "before_cursor_execute", note)
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(app.test_client().get, "/metrics") for _ in range(30)]
        assert {answer.result().status_code for answer in answers} == {200}
    event.remove(resources.pools.reading, "before_cursor_execute", note)

    assert 1 <= len([query for query in queries if "commands" in query]) <= 5


def test_metrics_are_served_without_the_database_too(without_database: FlaskClient) -> None:
    answer = without_database.get("/metrics")

    assert answer.status_code == 200
    assert "chargehand_publisher_waiting" in answer.text
    assert "chargehand_open_commands{" not in answer.text


def test_the_publishers_buffer_is_a_metric(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    publisher = app.extensions["chargehand"].publisher
    monkeypatch.setattr(publisher, "dropped", 7)

    assert _metric(client, "chargehand_publisher_dropped") == 7
