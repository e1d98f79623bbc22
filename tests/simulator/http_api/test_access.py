"""Who may use the charger's HTTP API."""

from collections.abc import AsyncIterator

import httpx
import pytest

from simulator.http_api.door import open_http_api
from simulator.settings import BadSettings, read_settings
from tests.simulator.charger import LocalCharger, environment

NOWHERE = "ws://127.0.0.1:9/"
TOKEN = "a-token-of-the-test"


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Of a charger on loopback, without a token."""
    async with LocalCharger(NOWHERE, http_port=0) as charger, open_http_api(charger.model) as url:
        assert url is not None
        async with httpx.AsyncClient(base_url=url) as client:
            yield client


@pytest.mark.parametrize("name", ["localhost:9000", "127.0.0.1", "[::1]:80", "LOCALHOST"])
async def test_a_program_of_this_machine_needs_no_token(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.post("/plug-connector", headers={"host": name})

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "attacker.example"},  # a name whose owner lets it lead to this machine
        {"host": "attacker.example:8099"},
        {"host": "localhost.attacker.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "localhost", "origin": "https://attacker.example"},  # a form on a page
        {"host": "localhost", "origin": "http://localhost:3000"},
        {"host": "localhost", "origin": "null"},
    ],
)
async def test_a_page_of_another_site_reaches_nothing(
    client: httpx.AsyncClient, headers: dict[str, str]
) -> None:
    answer = await client.post("/plug-connector", headers=headers)

    assert answer.status_code == 403
    health = (await client.get("/health")).json()
    assert not health["components"]["connectors"][0]["plugged"]


async def test_an_address_may_be_of_ipv6() -> None:
    async with (
        LocalCharger(NOWHERE, http_port=0, http_host="::1") as charger,
        open_http_api(charger.model) as url,
        httpx.AsyncClient(base_url=url or "") as client,
    ):
        assert (await client.get("/health")).status_code == 200
        assert f"curl -X POST '{url}/plug-connector" in (await client.get("/")).text


async def test_with_a_token_only_its_owner_gets_in_and_the_log_does_not_show_it() -> None:
    async with (
        LocalCharger(NOWHERE, http_port=0, http_token=TOKEN) as charger,
        open_http_api(charger.model) as url,
        httpx.AsyncClient(base_url=url or "") as client,
    ):
        for wrong in (
            {},
            {"authorization": "Bearer"},
            {"authorization": f"Bearer {TOKEN[:-1]}"},
            {"authorization": TOKEN},
        ):
            refused = await client.get("/health", headers=wrong)
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, "Bearer")

        answer = await client.get(
            "/health", headers={"authorization": f"bearer {TOKEN}", "host": "charger-1.example"}
        )

        assert answer.status_code == 200
        assert TOKEN not in str(charger.events) + repr(charger.model.settings)


def test_a_port_that_others_reach_needs_a_token() -> None:
    outside = environment(NOWHERE, "OCPP1.6", http_port=8099, http_host="0.0.0.0")

    with pytest.raises(BadSettings, match="CHARGER_HTTP_TOKEN is required"):
        read_settings(outside)

    assert read_settings(outside | {"CHARGER_HTTP_TOKEN": TOKEN}).http_host == "0.0.0.0"
