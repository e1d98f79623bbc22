"""A real charger and many scripted ones at one process of the control link, and what drives them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

from websockets.asyncio.server import serve
from websockets.typing import Subprotocol

from bench.support.csms import Csms
from bench.support.load import BadAnswer, Client, post
from bench.support.scripted_chargers import CONNECTED
from bench.support.servers import CONTROL_SECRET, control_token, token
from embedded.ports import HOST

CONNECTED_WITHIN_S = 60.0
SEEN_WITHIN_S = 10.0


class Actions:
    """Sends actions to the API, in a thread of its own so that the CSMS of this process goes on."""

    def __init__(self, port: int) -> None:
        self._client = Client(port)
        self._token = token()

    async def send(self, name: str, target: dict[str, str], query: str = "") -> tuple[float, Any]:
        """When the POST was sent, of the monotonic clock, and its answer. Raises BadAnswer."""
        return await asyncio.to_thread(self._send, name, target, query)

    def _send(self, name: str, target: dict[str, str], query: str) -> tuple[float, Any]:
        request = post(f"/ocpp/commands/{name}{query}", self._token, {"target": target, "event": {}})
        at = monotonic()
        answer = self._client.call(request)
        if not answer.startswith((b"HTTP/1.1 200 ", b"HTTP/1.1 202 ")):
            raise BadAnswer(answer[:500].decode(errors="replace"))
        return at, json.loads(answer.partition(b"\r\n\r\n")[2])


class RealCharger:
    """A charger process, which is connected to a CSMS of this process and to the control link."""

    def __init__(self, charger_id: str, csms: Csms, actions: Actions) -> None:
        self._target = {"charger_id": charger_id}
        self._csms = csms
        self._actions = actions

    async def plug(self, inward: bool) -> float:
        """Plug in or out through the API. Returns the ms from the POST to the frame at the CSMS. Raises BadAnswer."""
        seen = self._next_status(inward)
        at, answer = await self._actions.send(f"{'' if inward else 'un'}plug-connector", self._target)
        if answer["queued_count"] != 1:
            raise BadAnswer(str(answer))
        return 1000 * (await seen() - at)

    async def plug_by_csms(self, inward: bool) -> float:
        """The same by a DataTransfer of the CSMS."""
        seen = self._next_status(inward)
        request = {"vendorId": "chargehand", "messageId": "PlugIn" if inward else "Unplug", "data": "{}"}
        at = monotonic()
        await self._csms.links[-1].send(json.dumps([2, f"{at}", "DataTransfer", request]))
        return 1000 * (await seen() - at)

    async def wait_for_link(self) -> None:
        """Until the link knows the charger: before that, an action fails at once. Leaves it unplugged."""
        async with asyncio.timeout(CONNECTED_WITHIN_S):
            while not (await self._actions.send("plug-connector", self._target))[1]["queued_count"]:
                await asyncio.sleep(0.1)
        await until(lambda: self._csms.calls[-1].payload.get("status") == "Preparing", SEEN_WITHIN_S)
        await self.plug(False)

    def _next_status(self, inward: bool) -> Callable[[], Awaitable[float]]:
        """A function that waits for the status after the plug, or the unplug, and returns when it came."""
        known, wanted = len(self._csms.calls), "Preparing" if inward else "Available"

        def found() -> list[float]:
            return [call.at for call in self._csms.calls[known:] if call.payload.get("status") == wanted]

        async def seen() -> float:
            await until(found, SEEN_WITHIN_S)
            return found()[0]

        return seen


@asynccontextmanager
async def real_charger(
    charger_id: str, link_port: int, csms_port: int, actions: Actions
) -> AsyncIterator[RealCharger]:
    """A charger that can be driven. Its row has OCPP 1.6, and the CSMS at csms_port."""
    csms = Csms(heartbeat_s=3600)
    async with serve(csms.serve, HOST, csms_port, subprotocols=[Subprotocol("ocpp1.6")], compression=None):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "simulator",
            stdout=subprocess.DEVNULL,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                "CHARGER_ID": charger_id,
                "CHARGER_IDENTITY": "DRIVEN",
                "CHARGER_OCPP_VERSION": "OCPP1.6",
                "CHARGER_WS_URL": f"ws://{HOST}:{csms_port}",
                "CHARGER_CONTROL_URL": f"ws://{HOST}:{link_port}/control",
                "CHARGER_CONTROL_TOKEN": control_token(charger_id),
            },
        )
        try:
            await until(lambda: csms.actions.count("StatusNotification") >= 2, CONNECTED_WITHIN_S)
            charger = RealCharger(charger_id, csms, actions)
            await charger.wait_for_link()
            yield charger
        finally:
            process.terminate()
            await process.wait()


class ScriptedChargers:
    """The process of bench/support/scripted_chargers.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def report(self, per_s: float) -> None:
        """Each charger reports its power so often a second from now on."""
        assert self._process.stdin  # for the type checker
        self._process.stdin.write(f"{per_s}\n")
        self._process.stdin.flush()


@asynccontextmanager
async def scripted_chargers(count: int, link_port: int) -> AsyncIterator[ScriptedChargers]:
    """The first `count` chargers of bench/support/fleet.py, all connected."""
    url = f"ws://{HOST}:{link_port}/control"
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.support.scripted_chargers", url, str(count)],
        env={**os.environ, "CONTROL_SECRET": CONTROL_SECRET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout  # for the type checker
        line = await asyncio.wait_for(asyncio.to_thread(process.stdout.readline), CONNECTED_WITHIN_S)
        if line.strip() != CONNECTED:
            raise RuntimeError("the scripted chargers did not connect")
        yield ScriptedChargers(process)
    finally:
        process.terminate()
        await asyncio.to_thread(process.communicate)


async def until(condition: Callable[[], object], within_s: float) -> None:
    """Wait until the condition is true. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.001)
