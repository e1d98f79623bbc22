"""GET /ocpp/hosts, GET /ocpp/hosts/{id} and POST /ocpp/hosts/{id}/drain."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from shared.models import ControlLink, ControlSession, Host
from tests.support.fleet import Fleet

HOSTS = "/ocpp/hosts"
LONG_AGO = func.now() - timedelta(seconds=20)


def connect(fleet: Fleet, host_id: str, *, seen_at: Any = None) -> None:
    """Its process has a session with a process of the link, which lives unless it was seen long ago."""
    with fleet.sessions.begin() as session:
        session.merge(ControlLink(id="link-1", seen_at=seen_at if seen_at is not None else func.now()))
        session.add(
            ControlSession(
                process_id=host_id,
                session_id="s",
                boot_id="b",
                link_id="link-1",
                connected_at=func.now(),
            )
        )


def shown(fleet: Fleet, host_id: str) -> Any:
    return fleet.get(f"{HOSTS}/{host_id}").json


def test_a_host_is_shown_as_its_process_last_reported(fleet: Fleet) -> None:
    host_id = fleet.host(
        chargers=998,
        version="0.1.0",
        max_chargers=1_000,
        running=990,
        connected=989,
        lag_ms=3.5,
        memory_bytes=60_000_000,
        memory_limit_bytes=512 * 2**20,
        cpu_percent=6.5,
        lines_dropped=0,
        running_count=1,
        reported_at=func.now(),
    )
    connect(fleet, host_id)

    host = shown(fleet, host_id)

    assert (host["service_name"], host["organization_id"]) == (host_id, "acme")
    assert (host["state"], host["reason"], host["short_of"]) == ("running", None, [])
    assert (host["capacity"], host["chargers"], host["max_chargers"]) == (1_000, 998, 1_000)
    assert (host["running"], host["connected"]) == (990, 989)
    assert (host["lag_ms"], host["cpu_percent"], host["memory_bytes"]) == (3.5, 6.5, 60_000_000)
    assert host["memory_limit_bytes"] == 512 * 2**20
    assert host["control"]["connected"] is True
    assert host["control"]["since"] is not None
    assert host["reported_at"] is not None


@pytest.mark.parametrize(
    ("row", "seen_at", "state"),
    [
        ({}, None, "running"),
        ({"running_count": 1, "reported_at": LONG_AGO}, LONG_AGO, "unknown"),
        ({"running_count": 0, "reported_at": LONG_AGO}, LONG_AGO, "starting"),
        ({"running_count": 1}, LONG_AGO, "starting"),
        ({"draining_at": LONG_AGO}, None, "draining"),
        ({"draining_at": LONG_AGO, "deleted_at": LONG_AGO}, None, "removing"),
    ],
)
def test_a_host_runs_while_its_process_has_a_session_with_a_living_link(
    fleet: Fleet, row: dict[str, Any], seen_at: Any, state: str
) -> None:
    host_id = fleet.host(**row)
    connect(fleet, host_id, seen_at=seen_at)

    host = shown(fleet, host_id)

    assert host["state"] == state
    assert host["control"]["connected"] is (seen_at is None)
    assert ("not connected to the control link" in (host["reason"] or "")) is (state == "unknown")


def test_a_host_that_was_never_connected_starts_and_says_why_it_does_not_run(fleet: Fleet) -> None:
    host_id = fleet.host(reason="No capacity", reason_code="capacity_unavailable")

    host = shown(fleet, host_id)

    assert (host["state"], host["reason"], host["reason_code"]) == (
        "starting",
        "No capacity",
        "capacity_unavailable",
    )
    assert host["control"] == {"connected": False, "since": None}


def test_what_a_host_is_short_of_is_said(fleet: Fleet) -> None:
    host_id = fleet.host(
        lag_ms=812.4,
        memory_bytes=440 * 2**20,
        memory_limit_bytes=512 * 2**20,
        max_chargers=974,
        lines_dropped=7,
    )

    assert shown(fleet, host_id)["short_of"] == [
        "CPU: its timers are 812 ms late",
        "Memory: its process has 440 of 512 MiB",
        "Open files: its process has room for 974 chargers instead of 1000",
        "Log: it has dropped 7 lines since its start",
    ]


@pytest.mark.parametrize("limit", [None, 512 * 2**20])
def test_a_host_with_memory_left_or_without_a_limit_is_short_of_nothing(
    fleet: Fleet, limit: int | None
) -> None:
    host_id = fleet.host(memory_bytes=430 * 2**20, memory_limit_bytes=limit)

    assert shown(fleet, host_id)["short_of"] == []


def test_hosts_are_listed_by_page_newest_first_and_by_state(fleet: Fleet) -> None:
    first, second, third = (fleet.host() for _ in range(3))
    fleet.post(f"{HOSTS}/{second}/drain", json={})

    def listed(**query: Any) -> tuple[list[str], int]:
        page = fleet.get(HOSTS, query_string=query).json
        return [row["id"] for row in page["data"]], page["total"]

    assert listed() == ([third, second, first], 3)
    assert listed(limit=2, page=2) == ([first], 3)
    assert listed(state="draining") == ([second], 1)
    assert listed(state="draining,starting", limit=1) == ([third], 3)
    assert fleet.get(HOSTS, query_string={"state": "gone"}).status_code == 422


def test_hosts_are_seen_by_their_organization_and_by_admins_of_one_or_all(fleet: Fleet) -> None:
    ours, theirs = fleet.host("acme"), fleet.host("globex")

    def listed(headers: dict[str, str]) -> list[str]:
        page: Any = fleet.client.get(HOSTS, headers=headers).json
        return [row["id"] for row in page["data"]]

    admin = fleet.headers(role="admin")
    assert listed(fleet.headers("acme")) == [ours]
    assert listed(fleet.headers("initech")) == []
    assert listed(admin) == [theirs, ours]
    assert listed(admin | {"X-Organization-Id": "acme"}) == [ours]
    assert fleet.client.get(f"{HOSTS}/{theirs}", headers=admin).status_code == 200
    assert fleet.get(f"{HOSTS}/{theirs}").status_code == 404


def test_a_drained_host_gets_a_worker_at_once_and_a_repeat_changes_nothing(fleet: Fleet) -> None:
    host_id = fleet.host(converge_at=func.now() + timedelta(hours=1))

    first = fleet.post(f"{HOSTS}/{host_id}/drain", json={})
    with fleet.sessions() as session:
        is_due = session.scalar(select(Host.converge_at <= func.now()).where(Host.id == host_id))
    again = fleet.post(f"{HOSTS}/{host_id}/drain", json={})

    assert (first.status_code, first.json["state"]) == (200, "draining")
    assert is_due
    assert again.json == first.json
    assert fleet.post(f"{HOSTS}/host-unknown/drain", json={}).status_code == 404


def test_a_host_of_another_organization_cannot_be_drained(fleet: Fleet) -> None:
    theirs = fleet.host("globex")

    answer = fleet.post(f"{HOSTS}/{theirs}/drain", json={})

    assert (answer.status_code, answer.json) == (404, {"detail": f"Host {theirs} not found"})
    assert fleet.get(f"{HOSTS}/{theirs}", organization="globex").json["draining_at"] is None
