"""A control link for one host: it says which chargers that shall run, and counts those that their CSMS has accepted."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from embedded.ports import HOST

SUBPROTOCOL = Subprotocol("chargehand.control.v1")

#: Chargers in a frame, as the control link sends them.
PORTION = 200


class HostLink:
    def __init__(self) -> None:
        self.port = 0
        self.accepted: set[str] = set()  #: their ids
        self.is_connected = asyncio.Event()
        self._socket: ServerConnection | None = None

    async def start(self, environments: dict[str, dict[str, str]]) -> None:
        """Lets the host run chargers with these ids and variables."""
        assert self._socket is not None
        for entries in _portions([_desired(*each) for each in environments.items()]):
            await self._socket.send(json.dumps({"type": "desired", "desired": entries}))

    async def until_accepted(self, count: int, within_s: float) -> None:
        """Raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while len(self.accepted) < count:
                await asyncio.sleep(0.02)

    async def serve(self, socket: ServerConnection) -> None:
        try:
            await socket.recv()
            welcome = {"session": "s", "token": "of-the-session", "token_expires_in_s": 3600, "chargers": []}
            await socket.send(json.dumps({"type": "welcome", **welcome}))
            self._socket = socket
            self.is_connected.set()
            async for text in socket:
                self._take(json.loads(text))
        except ConnectionClosed:
            return

    def _take(self, frame: dict[str, Any]) -> None:
        if frame["type"] == "states":
            states = frame["states"]
            self.accepted |= {
                each["charger"] for each in states if each.get("csms", {}).get("state") == "accepted"
            }


@asynccontextmanager
async def running_host_link() -> AsyncIterator[HostLink]:
    link = HostLink()
    async with serve(link.serve, HOST, 0, subprotocols=[SUBPROTOCOL], compression=None) as server:
        link.port = next(iter(server.sockets)).getsockname()[1]
        yield link


def _desired(charger_id: str, environment: dict[str, str]) -> dict[str, Any]:
    return {
        "charger": charger_id,
        "generation": 1,
        "desired_count": 1,
        "restart_generation": 0,
        "leaving": False,
        "spec": {"revision": 1, "environment": environment},
        "memory": None,
    }


def _portions(entries: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (entries[start : start + PORTION] for start in range(0, len(entries), PORTION))
