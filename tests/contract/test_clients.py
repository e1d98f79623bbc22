"""Beyond the SDK: what clients rely on, against the whole product."""

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until


@pytest.fixture
def http(stack: Stack, stack_token: Callable[..., str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=70, **PLAIN_HTTP) as client:
        yield client


@pytest.fixture
def new_charger(csms: RememberingCsms) -> dict[str, str]:
    return {
        "identity": f"CP-{uuid4().hex[:8]}",
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": csms.url,
    }


@pytest.fixture
def charger_id(http: httpx.Client, new_charger: dict[str, str]) -> Iterator[str]:
    """A charger that runs. One request, and no polling."""
    created = http.post("/ocpp/chargers?wait=60", json=new_charger)
    assert (created.status_code, created.json()["status"]) == (200, "READY"), created.text
    charger_id: str = created.json()["charger_id"]
    yield charger_id
    http.delete(f"/ocpp/chargers/{charger_id}")


def test_one_request_stops_a_charger_and_says_that_it_has_stopped(
    http: httpx.Client, charger_id: str
) -> None:
    answer = http.post(f"/ocpp/chargers/{charger_id}/stop-charger?wait=60")

    assert answer.status_code == 200
    assert answer.json()["command"]["status"] == "succeeded"
    assert http.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]["observed"] == "stopped"


def test_the_id_of_a_request_is_in_the_lines_of_the_api_and_of_the_worker(
    http: httpx.Client, stack: Stack, charger_id: str
) -> None:
    request_id = f"request-{uuid4().hex}"

    answer = http.post(
        f"/ocpp/chargers/{charger_id}/stop-charger?wait=60", headers={"X-Request-Id": request_id}
    )

    assert answer.headers["X-Request-Id"] == request_id
    assert answer.json()["command"]["request_id"] == request_id
    events = {"api": {"command.accepted"}, "worker": {"command.applied", "command.succeeded"}}
    for name, expected in events.items():
        lines = (stack.folder / "logs" / f"{name}.log").read_text().splitlines()
        found = {event for line in lines if request_id in line for event in expected if event in line}
        assert found == expected


def test_a_watcher_sees_a_charger_stop_step_by_step(http: httpx.Client, charger_id: str) -> None:
    wait_until(
        lambda: http.get(f"/ocpp/chargers/{charger_id}").json()["runtime"]["ocpp"]["state"] == "accepted", 20
    )
    received: list[tuple[str, dict[str, Any]]] = []
    with http.stream("GET", f"/ocpp/chargers/{charger_id}/events") as stream:
        events = _events(stream)
        received.append(next(events))
        stopping = threading.Thread(
            target=httpx.post,
            args=(f"{http.base_url}/ocpp/chargers/{charger_id}/stop-charger",),
            kwargs={"headers": dict(http.headers)},
        )
        stopping.start()
        seen = {"succeeded": False, "stopped": False, "disconnected": False}
        while not all(seen.values()):
            name, data = next(events)
            received.append((name, data))
            seen["succeeded"] |= data.get("status") == "succeeded"
            seen["stopped"] |= data.get("observed") == "stopped"
            seen["disconnected"] |= data.get("state") == "disconnected"
        stopping.join()

    assert received[0][0] == "snapshot"
    assert received[0][1]["runtime"]["observed"] == "running"
    statuses = [data["status"] for name, data in received if name == "command"]
    assert statuses == ["queued", "applied", "succeeded"]
    assert all("at" in data for _, data in received[1:])


def _events(stream: httpx.Response) -> Iterator[tuple[str, dict[str, Any]]]:
    name = ""
    for line in stream.iter_lines():
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data":
            yield name, json.loads(value)
