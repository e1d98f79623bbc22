"""Chargers that behave as the real one on the control link: they come back, repeat answers, and apply an action once."""

import asyncio
import random
import threading
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
class FleetCharger:
    """A charger and what happened to it."""

    charger_id: str
    boot: str = "boot-1"
    applied: list[int] = field(default_factory=list)  #: ids, as often as applied
    sent: int = 0  #: actions that came, repeats included
    answers: dict[int, dict[str, Any]] = field(default_factory=dict)
    socket: ClientConnection | None = None
    silent: bool = False  #: takes actions and answers none

    def reboot(self) -> None:
        """Start anew, as after a kill: nothing is remembered."""
        self.boot += "+"
        self.answers = {}
        if self.socket is not None:
            self.socket.transport.abort()


class ControlFleet:
    """Runs in a thread for the length of a with-block. Every reconnect takes one of the addresses by chance."""

    def __init__(self, urls: list[str], charger_ids: list[str], tokens: ControlTokens) -> None:
        self.urls = urls
        self.chargers = [FleetCharger(charger_id) for charger_id in charger_ids]
        self._tokens = tokens
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))
        self._tasks: list[asyncio.Task[None]] = []

    def __enter__(self) -> "ControlFleet":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for task in self._tasks:
            self._loop.call_soon_threadsafe(task.cancel)
        self._thread.join(10)
        self._loop.close()

    @property
    def connected(self) -> int:
        return sum(charger.socket is not None for charger in self.chargers)

    def break_all(self) -> None:
        """Cut every connection, as a network does."""

        def cut() -> None:
            for charger in self.chargers:
                if charger.socket is not None:
                    charger.socket.transport.abort()

        self._loop.call_soon_threadsafe(cut)

    def reboot(self, charger: FleetCharger) -> None:
        self._loop.call_soon_threadsafe(charger.reboot)

    async def _run(self) -> None:
        self._tasks = [asyncio.create_task(self._live(charger)) for charger in self.chargers]
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _live(self, charger: FleetCharger) -> None:
        token = self._tokens.first_token(charger.charger_id)
        while True:
            with suppress(ConnectionClosed, InvalidHandshake, OSError, TimeoutError, EOFError):
                async with connect(
                    random.choice(self.urls),
                    subprotocols=[SUBPROTOCOL],
                    additional_headers={"Authorization": f"Bearer {token}"},
                    proxy=None,
                    compression=None,
                    close_timeout=0.5,
                ) as socket:
                    await self._talk(charger, socket)
            charger.socket = None
            await asyncio.sleep(random.uniform(0, MAX_WAIT_S))

    async def _talk(self, charger: FleetCharger, socket: ClientConnection) -> None:
        boot = charger.boot
        hello = {"charger": charger.charger_id, "boot": boot, "spec": None, "has_memory": True}
        await _say(socket, "hello", process=charger.charger_id, boot=boot, version="0.1.0", chargers=[hello])
        async for raw in socket:
            frame = orjson.loads(raw)
            if boot != charger.boot:
                return
            if frame["type"] == "welcome":
                charger.socket = socket
            elif frame["type"] == "actions" and not charger.silent:
                answers = [_answer(charger, action["id"]) for action in frame["actions"]]
                await _say(socket, "results", results=[answer | {"status": "received"} for answer in answers])
                await _say(socket, "results", results=answers)


def _answer(charger: FleetCharger, action_id: int) -> dict[str, Any]:
    charger.sent += 1
    if action_id not in charger.answers:
        charger.applied.append(action_id)
        charger.answers[action_id] = {"charger": charger.charger_id, "id": action_id, "status": "applied"}
    return charger.answers[action_id]


async def _say(socket: ClientConnection, kind: str, **values: Any) -> None:
    await socket.send(orjson.dumps({"type": kind, **values}).decode())
