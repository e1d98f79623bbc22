"""`?until=accepted`: one request that ends when the CSMS has accepted the charger, with real chargers."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
from websockets.asyncio.server import ServerConnection

from tests.contract.test_end_to_end import kill_charger
from tests.contract.test_link import NOBODY, a_server, reject_boots
from tests.support.http import PLAIN_HTTP
from tests.support.stack import RememberingCsms, Stack
from tests.support.waiting import wait_until

UNTIL = "wait=20&until=accepted"
TRIES = 3  # of which the quickest counts: another process may hold up one of them
SOON_S = 5  # after the boot, far above the usual 1 to 2: other tests run at the same time


@pytest.fixture
def http(stack: Stack, stack_token: Callable[..., str]) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {stack_token()}"}
    with httpx.Client(base_url=stack.api_url, headers=headers, timeout=70, **PLAIN_HTTP) as client:
        yield client


@pytest.fixture
def create(http: httpx.Client) -> Iterator[Callable[..., httpx.Response]]:
    """Creates a charger that is to reach a URL. It is removed at the end."""
    made: list[str] = []

    def create(ws_url: str, query: str = UNTIL, identity: str = "") -> httpx.Response:
        body = {
            "identity": identity or f"CP-{uuid4().hex[:8]}",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": ws_url,
        }
        answer = http.post(f"/ocpp/chargers?{query}", json=body)
        made.append(answer.json()["charger_id"])
        return answer

    yield create
    for charger_id in made:
        http.delete(f"/ocpp/chargers/{charger_id}")


Create = Callable[..., httpx.Response]


class SlowCsms:
    """Accepts boots, except while `held` is set: then it does not answer them."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.boots = 0

    async def talk(self, connection: ServerConnection) -> None:
        async for raw in connection:
            frame = orjson.loads(raw)
            if frame[2] == "BootNotification":
                self.boots += 1
                if self.held.is_set():
                    continue
            answer = {"currentTime": "2026-01-01T00:00:00Z", "interval": 60, "status": "Accepted"}
            await connection.send(orjson.dumps([3, frame[1], answer]).decode())


def test_a_create_is_answered_soon_after_the_boot(create: Create, csms: RememberingCsms) -> None:
    after_s = []
    for _ in range(TRIES):
        identity = f"CP-{uuid4().hex[:8]}"

        answer = create(csms.url, identity=identity)
        answered_at = monotonic()

        (session,) = csms.of(identity)
        assert session.booted_at is not None
        assert (answer.status_code, answer.json()["status"]) == (200, "READY")
        assert answer.json()["runtime"]["ocpp"]["state"] == "accepted"
        after_s.append(answered_at - session.booted_at)
    assert min(after_s) < SOON_S


def test_a_stopped_charger_is_started_and_accepted_in_one_request(
    http: httpx.Client, create: Create, csms: RememberingCsms
) -> None:
    identity = f"CP-{uuid4().hex[:8]}"
    path = f"/ocpp/chargers/{create(csms.url, identity=identity).json()['charger_id']}"
    after_s = []
    for _ in range(TRIES):
        http.post(f"{path}/stop-charger?wait=20")

        answer = http.post(f"{path}/start-charger?{UNTIL}")
        answered_at = monotonic()

        *_, session = csms.of(identity)
        assert session.booted_at is not None
        assert (answer.status_code, answer.json()["command"]["status"]) == (200, "succeeded")
        after_s.append(answered_at - session.booted_at)
    assert min(after_s) < SOON_S


@pytest.mark.parametrize("killed", [False, True])
def test_a_restart_is_never_answered_with_the_session_before_it(
    stack: Stack, http: httpx.Client, create: Create, killed: bool
) -> None:
    """The CSMS holds back the second boot. The last line of a process that was killed is `accepted`."""
    csms = SlowCsms()
    with a_server(csms.talk, subprotocols=["ocpp1.6"]) as address:
        created = create(f"ws://{address}/ocpp").json()
        assert created["runtime"]["ocpp"]["state"] == "accepted"
        path = f"/ocpp/chargers/{created['charger_id']}"
        csms.held.set()
        if killed:
            kill_charger(stack, created["charger_id"])

        held_back = http.post(f"{path}/reset-charger?wait=5&until=accepted")
        read = http.get(f"{path}?wait=1&until=accepted").json()["runtime"]
        # Until this command is final, a second one like it would be answered with it.
        first = http.get(f"{path}/commands/{held_back.json()['command_id']}?wait=40").json()
        csms.held.clear()
        answer = http.post(f"{path}/reset-charger?{UNTIL}")

    assert (held_back.status_code, first["status"]) == (202, "succeeded")
    if not killed:  # a process that is killed comes back after a while only
        assert held_back.json()["runtime"]["ocpp"]["state"] == read["ocpp"]["state"] == "connected"
    assert (answer.status_code, answer.json()["runtime"]["ocpp"]["state"]) == (200, "accepted")
    assert csms.boots >= 3


@pytest.mark.parametrize(("case", "state"), [("nobody listens", None), ("the boot is rejected", "rejected")])
def test_when_the_time_is_up_the_answer_says_why(create: Create, case: str, state: str | None) -> None:
    with a_server(reject_boots, subprotocols=["ocpp1.6"]) as address:
        url = f"ws://{address}/ocpp" if state else NOBODY

        answer = create(url, "wait=6&until=accepted")

    link = answer.json()["runtime"]["ocpp"]
    assert answer.status_code == 202
    assert answer.json()["command"]["status"] == "succeeded"
    if state:
        assert link["state"] == state
    else:
        assert "nothing listens on 127.0.0.1:9" in link["reason"]


@pytest.mark.parametrize("end", ["DELETE", "stop"])
def test_who_waits_in_vain_is_answered_at_once(http: httpx.Client, create: Create, end: str) -> None:
    path = f"/ocpp/chargers/{create(NOBODY, 'wait=20').json()['charger_id']}"
    started = monotonic()
    with ThreadPoolExecutor(1) as pool:
        restart: Any = pool.submit(http.post, f"{path}/reset-charger?wait=60&until=accepted")
        wait_until(lambda: http.get(path).json()["runtime"]["generation"] == 2)

        http.delete(path) if end == "DELETE" else http.post(f"{path}/stop-charger")

    assert restart.result().status_code == 202
    assert monotonic() - started < 20
