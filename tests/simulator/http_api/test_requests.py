"""Requests of the HTTP API: which there are, what they take, and what they answer."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import simulator
from simulator.actions.table import TABLE
from simulator.http_api.door import open_http_api
from simulator.http_api.operations import OPERATIONS, VENDORS
from tests.simulator.charger import LocalCharger

PAGE = Path(simulator.__file__).parents[1] / "docs" / "charger-api.md"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with (
        LocalCharger("ws://127.0.0.1:9/", identity="<CP-1>", connectors=2, http_port=0) as charger,
        open_http_api(charger.model) as url,
        httpx.AsyncClient(base_url=url or "") as client,
    ):
        yield client


def test_each_action_of_the_table_has_a_request_and_those_of_the_vendor_are_documented() -> None:
    text = PAGE.read_text()

    assert {operation.action for operation in OPERATIONS} == TABLE.keys()
    for operation in VENDORS:
        assert f"`{operation.method} {operation.path}`" in text


@pytest.mark.parametrize(
    ("request_", "loc", "kind"),
    [
        ("/plug-connector?connector_id=one", ["query", "connector_id"], "integer_parsing"),
        ("/plug-connector?connector_id=1.0", ["query", "connector_id"], "integer_parsing"),
        ("/plug-connector?connector_id=" + "9" * 5000, ["query", "connector_id"], "integer_parsing"),
        ("/plug-connector?connector_id=0", ["query", "connector_id"], "value_error"),
        ("/plug-connector?connector_id=1&connector_id=2", ["query", "connector_id"], "value_error"),
        ("/plug-connector?conector_id=1", ["query", "conector_id"], "extra_forbidden"),
        ("/power-update?power_w=NaN", ["query", "power_w"], "value_error"),
        ("/power-update?power_w=-1", ["query", "power_w"], "value_error"),
        ("/simulate-fault", ["query", "fault_type"], "missing"),
    ],
)
async def test_a_wrong_parameter_is_named_and_nothing_happens(
    client: httpx.AsyncClient, request_: str, loc: list[str], kind: str
) -> None:
    before = (await client.get("/ev-state")).json()

    answer = await client.post(request_)

    assert answer.status_code == 422
    (problem,) = answer.json()["detail"]
    assert (problem["loc"], problem["type"]) == (loc, kind)
    assert loc[1] in problem["msg"]
    assert (await client.get("/ev-state")).json() == before


async def test_every_wrong_parameter_is_named_at_once(client: httpx.AsyncClient) -> None:
    answer = await client.post("/simulate-fault?connector_id=x&evse_id=0&colour=red")

    problems = {problem["loc"][1]: problem["type"] for problem in answer.json()["detail"]}
    assert problems == {
        "connector_id": "integer_parsing",
        "evse_id": "value_error",
        "colour": "extra_forbidden",
        "fault_type": "missing",
    }


@pytest.mark.parametrize("body", ["{", "[1]", "1", '"text"', "[" * 100_000, "\xff", '{"connector_id": "1"}'])
async def test_a_wrong_body_is_refused(client: httpx.AsyncClient, body: str) -> None:
    answer = await client.post("/plug-connector", content=body.encode("latin-1"))

    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"][0] == "body"


async def test_a_post_may_have_its_parameters_in_its_body(client: httpx.AsyncClient) -> None:
    answer = await client.post("/plug-connector?energy_wh=500", json={"connector_id": 2, "evse_id": None})

    assert (answer.status_code, answer.json()["connector_id"]) == (200, 2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/plug-connector", 405),
        ("DELETE", "/ev-state", 405),
        ("GET", "/ev-state?connector_id=3", 404),
        ("POST", "/unplug-connector", 422),
        ("POST", "/fault/clear", 400),
    ],
)
async def test_what_cannot_be_done_says_why(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)

    assert answer.status_code == status
    detail: Any = answer.json()["detail"]
    assert [*detail[0]] == ["loc", "msg", "type"] if status == 422 else isinstance(detail, str)


async def test_the_page_shows_the_charger_and_its_requests_and_escapes_what_it_shows(
    client: httpx.AsyncClient,
) -> None:
    await client.post("/plug-connector?connector_id=2")

    answer = await client.get("/")

    assert answer.headers["content-type"].startswith("text/html")
    assert "&lt;CP-1&gt;" in answer.text
    assert "<CP-1>" not in answer.text
    assert "<td>Preparing</td><td>yes</td>" in answer.text
    for operation in OPERATIONS:
        assert f"<code>{operation.method} {operation.path}</code>" in answer.text


async def test_the_health_says_what_is_wrong_with_each_part(client: httpx.AsyncClient) -> None:
    health = (await client.get("/health")).json()

    assert health["status"] == "offline"
    assert health["components"]["csms"] == {
        "url": "ws://127.0.0.1:9/%3CCP-1%3E",
        "connected": False,
        "registration": "Unknown",
        "waiting_messages": 1,  # the security event of its start
    }
    assert [each["status"] for each in health["components"]["connectors"]] == ["Available", "Available"]
