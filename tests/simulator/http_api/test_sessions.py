"""Requests beyond those of the vendor's client: whole sessions, and messages of the caller's own."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulator.http_api.door import open_http_api
from tests.simulator.talk import Talk


@pytest.fixture
async def client(talk: Talk) -> AsyncIterator[httpx.AsyncClient]:
    async with open_http_api(talk.model) as url, httpx.AsyncClient(base_url=url or "") as client:
        yield client


pytestmark = pytest.mark.charger(http_port=0)


async def test_a_session_runs_from_the_cable_to_its_end(talk: Talk, client: httpx.AsyncClient) -> None:
    started = await client.post("/start-session", params={"id_tag": "CARD-1", "connector_id": 2})
    assert started.status_code == 200, started.text
    begin, end = ("StartTransaction", "StopTransaction") if talk.is_16 else ("TransactionEvent",) * 2
    assert "CARD-1" in str(await talk.link.next("Authorize"))
    await talk.link.next(begin)

    stopped = await client.post("/stop-session", params={"connector_id": 2})

    assert stopped.status_code == 200, stopped.text
    await talk.link.next(end, lambda payload: payload.get("event_type", "Ended") == "Ended")
    await talk.status("Available", 2)


async def test_a_latch_is_freed_as_its_version_allows(talk: Talk, client: httpx.AsyncClient) -> None:
    """OCPP 1.6 ends the transaction; 2.0.1 refuses while one runs (F05)."""
    await talk.start()

    answer = await client.post("/unlock-connector", params={"connector_id": 1})

    if talk.is_16:
        assert answer.status_code == 200
        await talk.link.next("StopTransaction")
    else:
        assert answer.status_code == 422
        assert "OngoingAuthorizedTransaction" in answer.text


async def test_a_message_of_the_caller_is_sent_and_its_answer_comes_back(
    talk: Talk, client: httpx.AsyncClient
) -> None:
    talk.csms.answers["DataTransfer"] = {"status": "Accepted", "data": "back"}
    message = {
        "action": "data_transfer",
        "ocpp_version": talk.model.version.subprotocol,
        "payload": {"vendor_id": "of-a-test", "data": "forth"},
    }

    answer = await client.post("/proxy-message", json=message)

    assert (await talk.link.next("DataTransfer"))["vendor_id"] == "of-a-test"
    assert answer.json()["answer"] == {"status": "Accepted", "data": "back"}
    wrong = await client.post("/proxy-message", json=message | {"payload": {}})
    assert (wrong.status_code, "schema" in wrong.json()["detail"]) == (400, True)
    assert (await client.post("/proxy-message")).status_code == 422


async def test_a_list_with_groups_and_expiries_is_sent_and_cleared(client: httpx.AsyncClient) -> None:
    entry = {"id_tag": "CARD-1", "parent_id_tag": "GROUP", "expiry_date": "2099-01-01T00:00:00Z"}
    await client.post("/local-auth-list", json={"list_version": 1, "entries": [entry]})
    known = (await client.get("/local-auth-list")).json()
    assert (known["list_version"], known["entries"][0]["parent_id_tag"]) == (1, "GROUP")

    cleared = await client.post("/clear-local-auth-list")

    assert cleared.json()["entries_deleted"] == 1
    assert (await client.get("/local-auth-list")).json() == {"list_version": 0, "entries": []}
