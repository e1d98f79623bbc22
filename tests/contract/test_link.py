"""Whether a charger reaches its CSMS, and if not why: `runtime.ocpp`, from a real charger's log."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson
import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from embedded.ports import HOST
from tests.contract.conftest import Api
from tests.contract.test_end_to_end import create_at
from tests.simulator.tls import certify, server_tls
from tests.support.stack import RememberingCsms
from tests.support.waiting import wait_until

NOBODY = "ws://127.0.0.1:9/"


async def reject_boots(connection: ServerConnection) -> None:
    async for raw in connection:
        frame = orjson.loads(raw)
        answer = {"currentTime": "2026-01-01T00:00:00Z", "interval": 60, "status": "Rejected"}
        await connection.send(orjson.dumps([3, frame[1], answer]).decode())


async def say_nothing(connection: ServerConnection) -> None:
    await connection.wait_closed()


def answer_boots_with(*answer: Any) -> Callable[[ServerConnection], Awaitable[None]]:
    """A CSMS that answers each BootNotification with this: the frame's type, then what follows the call's id."""

    async def talk(connection: ServerConnection) -> None:
        async for raw in connection:
            type_, *rest = answer
            await connection.send(orjson.dumps([type_, orjson.loads(raw)[1], *rest]).decode())

    return talk


def unauthorized(connection: ServerConnection, _request: Request) -> Response:
    return connection.respond(401, "who are you?\n")


@contextmanager
def a_server(talk: Any, **options: Any) -> Iterator[str]:
    """A WebSocket server in a thread. Yields where it listens, as host and port."""
    loop = asyncio.new_event_loop()
    started: list[Server] = []
    ready, stop = threading.Event(), asyncio.Event()

    async def run() -> None:
        async with serve(talk, HOST, 0, **options) as server:
            started.append(server)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(run(),))
    thread.start()
    assert ready.wait(10)
    yield f"{HOST}:{started[0].sockets[0].getsockname()[1]}"
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


@pytest.fixture
def charger_at(api: Api) -> Iterator[Callable[[str], Callable[[], dict[str, Any]]]]:
    """Makes a charger that is to reach a URL; returns how to read its link. Removed at the end."""
    made: list[str] = []

    def make(ws_url: str) -> Callable[[], dict[str, Any]]:
        charger_id = create_at(api, ws_url, f"CP-{uuid4().hex[:8]}")
        made.append(charger_id)

        def link() -> dict[str, Any]:
            runtime: dict[str, Any] = api(f"/ocpp/chargers/{charger_id}")["runtime"]
            return {**runtime["ocpp"], "charger_id": charger_id, "observed": runtime["observed"]}

        return link

    yield make
    for charger_id in made:
        api(f"/ocpp/chargers/{charger_id}", "DELETE")


ChargerAt = Callable[[str], Callable[[], dict[str, Any]]]


def wait_for(link: Callable[[], dict[str, Any]], words: str, *states: str) -> dict[str, Any]:
    """The link, when it is in one of the states with the words in its reason."""
    seen: dict[str, Any] = {}

    def is_so() -> bool:
        seen.update(link())
        return seen["state"] in states and words in (seen["reason"] or "").lower()

    try:
        wait_until(is_so, 15)
    except AssertionError:
        pytest.fail(f"{seen} is not {states} because of {words!r}")
    return seen


NO_LINK = ("disconnected", "connecting")


@pytest.mark.parametrize(
    ("ws_url", "words"),
    [("ws://no-such-host.invalid/ocpp", "no-such-host.invalid"), (NOBODY, "nothing listens on 127.0.0.1:9")],
    ids=["no such host", "refused"],
)
def test_a_csms_that_cannot_be_reached_is_named(charger_at: ChargerAt, ws_url: str, words: str) -> None:
    seen = wait_for(charger_at(ws_url), words, *NO_LINK)

    assert seen["observed"] == "running"
    assert seen["since"] is not None


def test_a_certificate_that_nobody_vouches_for_is_a_tls_error(charger_at: ChargerAt, tmp_path: Path) -> None:
    with a_server(say_nothing, ssl=server_tls(certify(), tmp_path)) as address:
        wait_for(charger_at(f"wss://{address}/ocpp"), "certificate", *NO_LINK)


def test_a_csms_that_wants_another_password_is_a_401(charger_at: ChargerAt) -> None:
    with a_server(say_nothing, process_request=unauthorized) as address:
        wait_for(charger_at(f"ws://{address}/ocpp"), "401", *NO_LINK)


def test_a_csms_that_speaks_no_ocpp_is_about_the_subprotocol(charger_at: ChargerAt) -> None:
    with a_server(say_nothing) as address:
        wait_for(charger_at(f"ws://{address}/ocpp"), "ocpp1.6", *NO_LINK)


def test_a_rejected_boot_shows_as_rejected(charger_at: ChargerAt) -> None:
    with a_server(reject_boots, subprotocols=["ocpp1.6"]) as address:
        wait_for(charger_at(f"ws://{address}/ocpp"), "rejected", "rejected")


def test_a_csms_that_goes_away_and_a_charger_that_is_stopped_show(charger_at: ChargerAt, api: Api) -> None:
    with RememberingCsms() as csms:
        link = charger_at(csms.url)
        accepted = wait_for(link, "", "accepted")
        wait_until(lambda: link()["last_frame_at"])  # from the log, which comes after the charger's report

    gone = wait_for(link, "", *NO_LINK)
    api(f"/ocpp/chargers/{gone['charger_id']}/stop-charger", "POST")
    wait_until(lambda: link()["observed"] == "stopped")
    stopped = wait_for(link, "", "disconnected")

    assert stopped["since"] >= gone["since"] > accepted["since"]


@pytest.mark.parametrize(
    ("answer", "words", "reason"),
    [
        ((4, "InternalError", "SQL is down", {}), "SQL is down", "boot_refused"),
        ((3, {"status": "Accepted", "interval": 60}), "currentTime", "boot_answer_unusable"),
    ],
    ids=["an error", "an answer without currentTime"],
)
def test_the_link_and_the_log_say_why_a_charger_is_not_accepted(
    api: Api, charger_at: ChargerAt, answer: tuple[Any, ...], words: str, reason: str
) -> None:
    with a_server(answer_boots_with(*answer), subprotocols=["ocpp1.6"]) as address:
        link = charger_at(f"ws://{address}/ocpp")
        wait_for(link, words.lower(), "connected")
        logs = f"/ocpp/chargers/{link()['charger_id']}/logs"
        wait_until(lambda: words in str(api(f"{logs}?kind=remark")["data"]), 15)

    events = api(f"{logs}?kind=connection")["data"][::-1]
    seen = [(event["state"], event["reason"]) for event in events]
    assert seen[:3] == [("connecting", None), ("connected", None), ("connected", reason)]
    assert {frame["action"] for frame in api(logs)["data"]} == {"BootNotification"}
