"""The metrics of workers, their calls to ECS, the rate budget, the control link and open streams."""

import re
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func

from api.live import metrics
from shared.models import ControlLink, ControlSession, Worker
from tests.support.fleet import Fleet
from tests.support.watching import Watch

QUOTA = {
    "per_second": 4.5,
    "burst": 45,
    "used_per_second": 1,
    "turns": 90,
    "waits": 3,
    "waited_s": 7.5,
    "waiting": 2,
    "tokens": 0,
    "throttled_10_min": 1,
}


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "KEEP_S", 0.0)


def metric(client: FlaskClient, line: str) -> float | None:
    found = re.search(rf"^chargehand_{re.escape(line)} (\S+)$", client.get("/metrics").text, re.MULTILINE)
    return float(found[1]) if found else None


def add_worker(fleet: Fleet, name: str, *, seconds_ago: int = 0, **other: Any) -> None:
    at = func.now() - timedelta(seconds=seconds_ago)
    with fleet.sessions.begin() as session:
        session.add(
            Worker(
                name=name,
                host="a",
                pid=1,
                version="0.1.0",
                queues=["lifecycle", "maintenance"],
                threads=8,
                busy=3,
                tasks_done=41,
                started_at=at,
                seen_at=at,
                **{"ecs": {}, "budget": {}} | other,
            )
        )


def test_living_workers_are_counted_by_queue_and_one_that_was_killed_is_not_up(fleet: Fleet) -> None:
    add_worker(fleet, "one@a")
    add_worker(fleet, "dead@a", seconds_ago=60)

    def value(line: str) -> float | None:
        return metric(fleet.client, line)

    queues = {queue: value(f'workers{{queue="{queue}"}}') for queue in ("lifecycle", "provisioning")}
    assert queues == {"lifecycle": 1, "provisioning": 0}
    assert (value('worker_up{worker="one@a"}'), value('worker_up{worker="dead@a"}')) == (1, 0)
    assert (value('worker_threads{worker="one@a"}'), value('worker_busy_threads{worker="one@a"}')) == (8, 3)
    assert value('worker_threads{worker="dead@a"}') is None
    assert value('worker_tasks_total{worker="one@a"}') == 41


def test_calls_to_ecs_and_turns_at_the_budget_are_totals_of_each_worker(fleet: Fleet) -> None:
    add_worker(
        fleet,
        "one@a",
        ecs={"operations": {"StopTask": {"calls": 9, "errors": 2, "throttles": 1}}},
        budget={"shared": True, "groups": {"service_changes": QUOTA}},
    )

    def value(line: str) -> float | None:
        return metric(fleet.client, line)

    of_stops, of_changes = '{operation="StopTask",worker="one@a"}', '{group="service_changes",worker="one@a"}'
    of_calls = [value(f"ecs_{name}_total{of_stops}") for name in ("calls", "errors", "throttles")]
    assert of_calls == [9, 2, 1]
    of_turns = [value(f"ecs_budget_{name}_total{of_changes}") for name in ("turns", "waits", "wait_seconds")]
    assert of_turns == [90, 3, 7.5]
    assert value('ecs_budget_waiting{group="service_changes"}') == 2
    assert value('ecs_budget_per_second{group="service_changes"}') == 4.5


def test_sessions_are_counted_by_living_process_of_the_control_link(fleet: Fleet) -> None:
    with fleet.sessions.begin() as session:
        session.add(ControlLink(id="link-1", seen_at=func.now()))
        session.add(ControlLink(id="link-2", seen_at=func.now() - timedelta(seconds=20)))
        session.add(
            ControlSession(
                process_id="dep-1", session_id="s", boot_id="b", link_id="link-1", connected_at=func.now()
            )
        )

    assert metric(fleet.client, 'control_sessions{link="link-1"}') == 1
    assert metric(fleet.client, 'control_sessions{link="link-2"}') is None
    assert metric(fleet.client, "control_links") == 1


def test_held_commands_and_the_oldest_of_each_queue_are_figures(fleet: Fleet) -> None:
    charger_id = fleet.create()
    with fleet.sessions.begin() as session:
        for command in fleet.commands(charger_id):
            command.held_since, command.created_at = func.now(), func.now() - timedelta(seconds=90)
            session.merge(command)

    oldest_s = metric(fleet.client, 'oldest_open_command_seconds{queue="provisioning"}')

    assert oldest_s is not None
    assert 90 <= oldest_s < 120
    assert metric(fleet.client, 'oldest_open_command_seconds{queue="lifecycle"}') == 0
    assert metric(fleet.client, "held_commands") == 1


def test_open_streams_are_counted(fleet: Fleet, watch: Watch) -> None:
    charger_id = fleet.ready()
    before = metric(fleet.client, 'event_streams{kind="charger"}')
    watch(charger_id)

    assert before is not None
    assert metric(fleet.client, 'event_streams{kind="charger"}') == before + 1
    assert metric(fleet.client, 'event_streams{kind="organization"}') == 0


def test_hosts_are_counted_by_state_with_their_chargers_lag_and_dropped_lines(fleet: Fleet) -> None:
    late = fleet.host(chargers=900, lag_ms=812.0, lines_dropped=7)
    fleet.host(
        "globex", chargers=300, lag_ms=99_000.0, lines_dropped=1, running_count=1, reported_at=func.now()
    )
    with fleet.sessions.begin() as session:
        session.add(ControlLink(id="link", seen_at=func.now()))
        session.add(
            ControlSession(
                process_id=late, session_id="s", boot_id="b", link_id="link", connected_at=func.now()
            )
        )

    def value(line: str) -> float | None:
        return metric(fleet.client, line)

    states = ("starting", "running", "draining", "removing", "unknown")
    assert [value(f'hosts{{state="{state}"}}') for state in states] == [0, 1, 0, 0, 1]
    assert (value("host_chargers_count"), value("host_chargers_sum")) == (2, 1_200)
    assert value("host_lag_seconds") == 0.812  # what a lost host last reported does not count
    assert value("host_lines_dropped") == 8
