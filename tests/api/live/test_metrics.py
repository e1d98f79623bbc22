"""The metrics for Prometheus: requests, commands, chargers, maintenance, the log reader, rollouts and the publisher."""

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import event, func, text, update

from api.live import metrics
from api.resources import Resources
from shared.models import Charger, FleetSpec, LogCursor
from shared.vocabulary import CommandStatus, ObservedState, OcppState
from tests.api.conftest import note_runs
from tests.support.fleet import Fleet
from tests.support.waiting import wait_until


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


def test_chargers_are_counted_by_state_over_all_organizations(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "KEEP_CHARGERS_S", 0.0)
    fleet.link(fleet.ready("acme"), "accepted")
    old = fleet.ready("acme", identity="CP-2")
    fleet.ready("globex")
    fleet.settle(fleet.ready("globex", identity="CP-2"), running_count=0)
    failed = fleet.create("globex", identity="CP-3")
    fleet.finish(failed, CommandStatus.FAILED)
    fleet.request("DELETE", f"/ocpp/chargers/{fleet.ready('acme', identity='CP-4')}")
    with fleet.sessions.begin() as session:
        session.execute(
            text("UPDATE chargers SET observed_since = now() - interval '1 h' WHERE id = :id"), {"id": old}
        )

    observed = {
        state: _metric(fleet.client, f'chargehand_chargers{{observed="{state}"}}') for state in ObservedState
    }
    links = {
        state: _metric(fleet.client, f'chargehand_charger_links{{state="{state}"}}')
        for state in (*OcppState, "none")
    }

    assert observed == {"running": 3, "starting": 1, "unknown": 1, "stopped": 0, "stopping": 0}
    assert {state: number for state, number in links.items() if number} == {"accepted": 1, "none": 2}
    assert _metric(fleet.client, "chargehand_attention_chargers") == 2
    assert "acme" not in fleet.client.get("/metrics").text


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
