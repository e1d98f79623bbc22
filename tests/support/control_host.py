"""A host that behaves as the real one on the control link: it comes back, and does what is desired once."""

import asyncio
import random
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from link.server import SUBPROTOCOL
from shared.auth.control_tokens import ControlTokens

MAX_WAIT_S = 0.3  # before a reconnect


@dataclass
class HostedCharger:
    """A charger as the host knows it."""

    generation: int = 0
    restart_generation: int = 0
    starts: list[str] = field(default_factory=list)  #: boots, the newest last
    is_on: bool = False


class ControlHost:
    """Runs in a thread for the length of a with-block. Every reconnect takes one of the addresses by chance."""

    def __init__(self, urls: Sequence[str], host_id: str, tokens: ControlTokens) -> None:
        self.host_id = host_id
        self.chargers: dict[str, HostedCharger] = {}
        self.connections = 0  #: that were welcomed
        self._urls = urls
        self._token = tokens.first_token(host_id)
        self._socket: ClientConnection | None = None
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> "ControlHost":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)
        self._loop.close()

    def break_all(self) -> None:
        """Cut the connection, as a network does."""

        def cut() -> None:
            if self._socket is not None:
                self._socket.transport.abort()

        self._loop.call_soon_threadsafe(cut)

    async def _run(self) -> None:
        living = asyncio.create_task(self._live())
        await self._ended.wait()
        living.cancel()
        with suppress(asyncio.CancelledError):
            await living

    async def _live(self) -> None:
        while True:
            with suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError, EOFError):
                async with connect(
                    random.choice(self._urls),
                    subprotocols=[SUBPROTOCOL],
                    additional_headers={"Authorization": f"Bearer {self._token}"},
                    proxy=None,
                    compression=None,
                    close_timeout=0.5,
                ) as self._socket:
                    await self._talk(self._socket)
            await asyncio.sleep(random.uniform(0, MAX_WAIT_S))

    async def _talk(self, socket: ClientConnection) -> None:
        running = [
            {"charger": charger_id, "boot": charger.starts[-1], "spec": None, "has_memory": True}
            for charger_id, charger in self.chargers.items()
            if charger.is_on
        ]
        await _say(socket, "hello", process=self.host_id, boot="h1", version="0.1.0", chargers=running)
        async for raw in socket:
            frame = orjson.loads(raw)
            if frame["type"] == "welcome":
                self.connections += 1
            elif frame["type"] == "desired":
                observed = [self._follow(entry) for entry in frame["desired"]]
                await asyncio.sleep(random.uniform(0, 0.05))
                await _say(socket, "observed", observed=observed)

    def _follow(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Make it so, and return what to say of it."""
        charger_id, generation = entry["charger"], entry["generation"]
        charger = self.chargers.setdefault(charger_id, HostedCharger())
        if generation >= charger.generation:
            charger.generation = generation
            to_restart = charger.is_on and entry.get("restart_generation", 0) > charger.restart_generation
            if entry["desired_count"] == 1 and (not charger.is_on or to_restart):
                assert entry["spec"]["environment"]
                charger.restart_generation = entry["restart_generation"]
                charger.starts.append(f"{charger_id[-6:]}-{len(charger.starts)}")
            charger.is_on = entry["desired_count"] == 1
        boot = charger.starts[-1] if charger.starts else None
        said = {"charger": charger_id, "generation": charger.generation, "running": charger.is_on}
        return said | {"restart_generation": charger.restart_generation, "boot": boot, "fault": None}


async def _say(socket: ClientConnection, kind: str, **values: Any) -> None:
    await socket.send(orjson.dumps({"type": kind, **values}).decode())
