"""The process of a charger with an HTTP API, and of one without."""

import asyncio
import socket
import subprocess
import sys

import httpx
import pytest

from tests.simulator.charger import ChargerProcess
from tests.support.csms import Csms
from tests.support.waiting import wait_until_async

IMPORTED = "import sys, simulator.__main__; print(*sys.modules)"


async def api_of(charger: ChargerProcess) -> str:
    """The address that the charger logs."""
    remark = await charger.event(lambda event: "listens at http://" in event.get("message", ""))
    return str(remark["message"]).rpartition(" ")[2]


def test_a_charger_without_the_api_imports_no_web_server() -> None:
    output = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)

    loaded = {name.partition(".")[0] for name in output.stdout.split()}
    assert loaded.isdisjoint({"starlette", "uvicorn", "h11", "anyio"})
    assert "websockets" in loaded


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
async def test_an_action_over_http_is_seen_at_the_csms(version: str) -> None:
    async with Csms() as csms, ChargerProcess(csms.url, version, http_port=0) as charger:
        link = await csms.accepted()
        async with httpx.AsyncClient(base_url=await api_of(charger)) as client:
            answer = await client.post("/plug-connector")

        assert answer.json()["plugged"]
        expected = {"Preparing", "Occupied"}
        await link.next(
            "StatusNotification",
            lambda status: (status.get("status") or status.get("connector_status")) in expected,
        )


async def test_a_port_in_use_is_a_clear_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with ChargerProcess("ws://127.0.0.1:9/", http_port=port) as charger:
            assert await charger.exit_code() == 2

    assert charger.errors == b""
    assert [event["type"] for event in charger.events] == ["log"]
    assert charger.remarks() == [
        f"CHARGER_HTTP_PORT: cannot listen at 127.0.0.1 port {port}: Address already in use"
    ]


async def test_a_terminated_charger_ends_in_time_whatever_its_clients_do() -> None:
    async with Csms() as csms, ChargerProcess(csms.url, http_port=0) as charger:
        await csms.accepted()
        url = httpx.URL(await api_of(charger))
        idle, hanging = (socket.create_connection((url.host, url.port or 0)) for _ in range(2))
        with idle, hanging:
            hanging.send(b"POST /plug-connector HTTP/1.1\r\n")

            charger.terminate()

            assert await charger.exit_code(within_s=5.0) == 0
    assert charger.errors == b""
    assert charger.states()[-1] == "disconnected"
    assert not any("uvicorn" in remark for remark in charger.remarks())


async def test_a_request_that_waits_for_the_csms_is_answered_when_the_charger_ends() -> None:
    async with Csms() as csms, ChargerProcess(csms.url, http_port=0) as charger:
        csms.raw_answers["Authorize"] = None
        link = await csms.accepted()
        async with httpx.AsyncClient(base_url=await api_of(charger)) as client:
            waiting = asyncio.create_task(client.post("/authorize-id-tag?id_tag=CARD-1"))
            await wait_until_async(lambda: "Authorize" in link.frames[-1])

            charger.terminate()

            assert (await waiting).status_code == 422
        assert await charger.exit_code(within_s=5.0) == 0
    assert not any("uvicorn" in remark for remark in charger.remarks())
