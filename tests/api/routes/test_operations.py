"""GET /ocpp/operations: open commands, workers, links, the rate budget, maintenance and lights."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, text, update

from api.live import operations, readiness
from embedded.ports import HOST
from shared.database.engine import Sessions
from shared.models import Command, ControlLink, ControlSession, LogCursor, MaintenanceRun, Worker
from shared.settings import Settings
from tests.api.conftest import client_of, note_runs
from tests.support.environment import Token
from tests.support.fleet import Fleet
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operations, "KEEP_S", 0.0)
    monkeypatch.setattr(readiness, "KEEP_S", 0.0)


def add_worker(sessions: Sessions, name: str, *, seconds_ago: float = 0, **other: Any) -> None:
    at = func.now() - timedelta(seconds=seconds_ago)
    row = {
        "host": "a",
        "pid": 1,
        "version": "0.1.0",
        "queues": ["lifecycle", "provisioning"],
        "threads": 8,
        "busy": 2,
        "tasks_done": 10,
        "ecs": {},
        "budget": {},
    }
    with sessions.begin() as session:
        session.add(Worker(name=name, started_at=at, seen_at=at, **row | other))


def as_admin(fleet: Fleet, **headers: str) -> Any:
    """The answer for an admin, as JSON."""
    return fleet.client.get("/ocpp/operations", headers=fleet.headers(role="admin") | headers).json


def light(answer: Any, name: str) -> Any:
    return next(each for each in answer.json["lights"] if each["name"] == name)


def test_open_commands_are_counted_by_queue_and_age_and_the_oldest_are_listed(fleet: Fleet) -> None:
    old = fleet.ready(identity="CP-OLD")
    new = fleet.ready(identity="CP-NEW")
    for charger_id in (old, new):
        fleet.finish(charger_id)
        fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")
    fleet.create(identity="CP-CREATED")
    with fleet.sessions.begin() as session:
        session.execute(
            update(Command)
            .where(Command.charger_id == old)
            .values(created_at=func.now() - timedelta(seconds=70), held_since=func.now())
        )

    commands = fleet.get("/ocpp/operations").json["commands"]

    assert (commands["open"], commands["held"]) == (3, 1)
    assert 70 <= commands["oldest_s"] < 100
    lifecycle, provisioning, maintenance = commands["by_queue"]
    assert [each["queue"] for each in commands["by_queue"]] == ["lifecycle", "provisioning", "maintenance"]
    assert [each["count"] for each in lifecycle["by_age"]] == [2, 1, 1, 0]
    assert (provisioning["open"], maintenance["open"], maintenance["oldest_s"]) == (1, 0, None)
    assert [each["identity"] for each in commands["oldest"]] == ["CP-OLD", "CP-NEW", "CP-CREATED"]
    assert "organization_id" not in commands["oldest"][0]


def test_a_user_sees_only_the_organizations_commands_and_an_admin_all(fleet: Fleet) -> None:
    fleet.create("acme")
    fleet.create("globex", identity="CP-1")
    fleet.create("globex", identity="CP-2")
    with fleet.sessions.begin() as session:
        session.execute(
            update(Command).where(Command.organization_id == "globex").values(held_since=func.now())
        )

    ours = fleet.get("/ocpp/operations", organization="acme")
    admins = as_admin(fleet)
    acting = as_admin(fleet, **{"X-Organization-Id": "acme"})

    assert "globex" not in ours.text
    assert (ours.json["commands"]["open"], ours.json["commands"]["held"]) == (1, 0)
    assert (admins["commands"]["open"], acting["commands"]["open"]) == (3, 1)
    assert admins["waiting_by_organization"] == [
        {"organization_id": "globex", "open": 2, "held": 2},
        {"organization_id": "acme", "open": 1, "held": 0},
    ]
    assert "waiting_by_organization" not in acting
    assert {each["organization_id"] for each in admins["commands"]["oldest"]} == {"acme", "globex"}


def test_a_worker_is_alive_until_30_s_after_its_report_and_shown_for_an_hour(fleet: Fleet) -> None:
    for name, seconds_ago in (("fresh", 0), ("late", 29), ("dead", 31), ("old", 3590), ("gone", 3601)):
        add_worker(fleet.sessions, name, seconds_ago=seconds_ago)

    answer = fleet.get("/ocpp/operations").json

    assert {each["name"]: each["alive"] for each in answer["workers"]} == {
        "fresh": True,
        "late": True,
        "dead": False,
        "old": False,
    }
    served_by = {each["queue"]: each["served_by"] for each in answer["commands"]["by_queue"]}
    assert served_by == {"lifecycle": 2, "provisioning": 2, "maintenance": 0}


def test_the_budget_is_that_of_all_living_workers(fleet: Fleet) -> None:
    def report(used: float, waiting: int, throttled: int) -> dict[str, Any]:
        quota = {
            "per_second": 5,
            "burst": 50,
            "used_per_second": used,
            "waiting": waiting,
            "tokens": 2.0,
            "throttled_10_min": throttled,
        }
        return {"shared": True, "groups": {"service_changes": quota}}

    add_worker(fleet.sessions, "newest", budget=report(1.5, 12, 1))
    add_worker(fleet.sessions, "other", seconds_ago=8, budget=report(2.5, 40, 2))
    add_worker(fleet.sessions, "dead", seconds_ago=400, budget=report(9, 90, 4))
    add_worker(fleet.sessions, "long dead", seconds_ago=700, budget=report(9, 90, 100))

    (budget,) = fleet.get("/ocpp/operations").json["budget"]

    assert budget == {
        "group": "service_changes",
        "per_second": 5,
        "burst": 50,
        "used_per_second": 4,
        "waiting": 12,
        "throttled_10_min": 7,
        "eta_s": 2,
    }


def test_links_have_their_sessions(fleet: Fleet) -> None:
    with fleet.sessions.begin() as session:
        session.add(ControlLink(id="link-1", seen_at=func.now()))
        session.add(ControlLink(id="link-2", seen_at=func.now() - timedelta(seconds=20)))
        for number, link in enumerate(("link-1", "link-1", "link-2")):
            session.add(
                ControlSession(
                    process_id=f"dep-{number}",
                    session_id="s",
                    boot_id="b",
                    link_id=link,
                    connected_at=func.now(),
                    disconnected_at=func.now() if number == 1 else None,
                )
            )

    answer = fleet.get("/ocpp/operations")

    shown = {each["id"]: (each["sessions"], each["alive"]) for each in answer.json["links"]}
    assert shown == {"link-1": (1, True), "link-2": (1, False)}
    assert light(answer, "link")["ok"] is True


def test_maintenance_that_is_late_or_fails_is_shown_and_its_error_only_to_admins(fleet: Fleet) -> None:
    note_runs(fleet.sessions)
    with fleet.sessions.begin() as session:
        session.execute(
            update(MaintenanceRun)
            .where(MaintenanceRun.task == "maintenance.observe")
            .values(succeeded_at=func.now() - timedelta(seconds=400), error="arn:aws:iam::1234 refuses")
        )

    answer = fleet.get("/ocpp/operations")
    admins = as_admin(fleet)

    late = {each["task"]: (each["late"], each["error"]) for each in admins["maintenance"]}
    assert late["maintenance.observe"] == (True, "arn:aws:iam::1234 refuses")
    assert late["maintenance.sweep"] == (False, None)
    assert "arn:aws" not in answer.text
    observer = light(answer, "observer")
    assert observer["ok"] is False
    assert observer["since"] is not None
    assert "do not become final" in observer["detail"]


@pytest.mark.parametrize(
    ("ecs", "ok", "words"),
    [
        ({}, True, "No worker has called ECS yet"),
        ({"success_s": 1, "failure_s": 5, "failure": "StopTask: ServerException"}, True, "ECS answers"),
        (
            {"success_s": 9, "failure_s": 5, "failure": "StopTask: ServerException"},
            False,
            "StopTask: ServerException",
        ),
    ],
)
def test_the_light_of_ecs_is_what_workers_met_last(
    fleet: Fleet, ecs: dict[str, Any], ok: bool, words: str
) -> None:
    add_worker(fleet.sessions, "worker", ecs=ecs)

    shown = light(fleet.get("/ocpp/operations"), "ecs")

    assert shown["ok"] is ok
    assert words in shown["detail"]


def test_nothing_is_known_of_ecs_without_a_living_worker(fleet: Fleet) -> None:
    add_worker(fleet.sessions, "dead", seconds_ago=60, ecs={"success_s": 1})

    assert light(fleet.get("/ocpp/operations"), "ecs")["ok"] is False


def test_logs_that_are_read_late_are_a_light(fleet: Fleet) -> None:
    before = light(fleet.get("/ocpp/operations"), "logs")
    with fleet.sessions.begin() as session:
        through = func.now() - timedelta(seconds=95)
        session.add(LogCursor(log_group="/chargers", read_until_ms=0, read_through=through))
    after = light(fleet.get("/ocpp/operations"), "logs")

    assert (before["ok"], after["ok"]) == (True, False)
    assert "95 s late" in after["detail"]


def test_many_requests_in_a_second_are_one_read(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.create()
    first = fleet.get("/ocpp/operations").json
    fleet.get("/ocpp/operations", organization="globex")
    monkeypatch.setattr(operations, "KEEP_S", 60.0)
    with fleet.sessions.begin() as session:
        session.execute(text("DELETE FROM commands"))

    second = fleet.get("/ocpp/operations").json
    other = fleet.get("/ocpp/operations", organization="globex").json

    assert first["commands"]["open"] == second["commands"]["open"] == 1
    assert second["at"] == other["at"]
    assert other["commands"]["open"] == 0
    monkeypatch.setattr(operations, "KEEP_S", 0.0)
    assert fleet.get("/ocpp/operations").json["commands"]["open"] == 0


@pytest.fixture
def line(redis_url: str) -> Iterator[TcpProxy]:
    proxy = TcpProxy(urlsplit(redis_url).port or 6379)
    yield proxy
    proxy.close()


def wait_for(newest: Callable[[], Any], *, ok: bool) -> Any:
    """The light, once it is so."""
    return wait_until(lambda: found if (found := newest())["ok"] is ok else None)


@pytest.mark.usefixtures("sessions")
def test_a_broker_that_is_away_is_a_light_and_the_rest_is_shown(
    settings: Settings, token: Token, line: TcpProxy
) -> None:
    """It works, refuses connections, works again, and takes connections without an answer."""
    broker = urlsplit(settings.broker_url)
    credentials = broker.netloc.rpartition("@")[0]
    broker_url = broker._replace(netloc=f"{credentials}@{HOST}:{line.port}").geturl()
    headers = {"Authorization": f"Bearer {token()}"}
    for client in client_of(replace(settings, broker_url=broker_url)):

        def newest(client: FlaskClient = client) -> Any:
            return light(client.get("/ocpp/operations", headers=headers), "broker")

        works = wait_for(newest, ok=True)
        line.cut()
        refuses = wait_for(newest, ok=False)
        later = newest()
        line.heal()
        wait_for(newest, ok=True)
        line.freeze()
        silent = wait_for(newest, ok=False)
        line.heal()

        assert works["latency_ms"] > 0
        assert works["since"] is None
        assert refuses["detail"].startswith("The broker is not available. Commands are still accepted")
        assert later["since"] == refuses["since"]
        assert silent["detail"].startswith(("The broker did not answer within 2 s.", "The broker is not"))
        assert silent["since"] > refuses["since"]
        answer: Any = client.get("/ocpp/operations", headers=headers).json
        assert answer["commands"]["open"] == 0


def test_without_the_database_there_is_no_state(without_database: FlaskClient, token: Token) -> None:
    answer: Any = without_database.get("/ocpp/operations", headers={"Authorization": f"Bearer {token()}"})

    assert answer.status_code == 503
    assert isinstance(answer.json["detail"], str)
