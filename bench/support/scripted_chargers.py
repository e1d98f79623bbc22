"""Connects many processes to the control link, each with one charger that applies every action at once.

Run as `python -m bench.support.scripted_chargers URL COUNT`, with CONTROL_SECRET in the environment. It prints a line when all
are connected, then reads numbers from standard input, one a line: so often a second each charger reports its power.
"""

import asyncio
import json
import sys
from collections.abc import Iterable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from bench.support.fleet import charger_id
from bench.support.servers import control_token

SUBPROTOCOL = Subprotocol("chargehand.control.v1")
CONNECTING = 50  # at the same time
CONNECTED = "all are connected"


async def run(url: str, count: int) -> None:
    """Stay connected until standard input ends."""
    gate = asyncio.Semaphore(CONNECTING)
    names = [charger_id(number) for number in range(1, count + 1)]
    sockets = await asyncio.gather(*(_say_hello(url, name, gate) for name in names))
    answering = [
        asyncio.create_task(_apply_all(socket, name)) for socket, name in zip(sockets, names, strict=True)
    ]
    print(CONNECTED, flush=True)
    reporting: asyncio.Task[None] | None = None
    async for line in _lines():
        if reporting:
            reporting.cancel()
            reporting = None
        if per_s := float(line):
            reporting = asyncio.create_task(_report(list(zip(sockets, names, strict=True)), per_s))
    for task in answering:
        task.cancel()
    await asyncio.gather(*(socket.close() for socket in sockets), return_exceptions=True)


async def _say_hello(url: str, name: str, gate: asyncio.Semaphore) -> ClientConnection:
    headers = {"Authorization": f"Bearer {control_token(name)}"}
    async with gate:
        socket = await connect(
            url,
            subprotocols=[SUBPROTOCOL],
            additional_headers=headers,
            compression=None,
            proxy=None,
            open_timeout=30,
        )
        charger = {"charger": name, "boot": f"boot-of-{name}", "spec": None, "has_memory": True}
        hello = {"type": "hello", "process": name, "boot": f"boot-of-{name}", "version": "0.1.0"}
        await socket.send(json.dumps({**hello, "chargers": [charger]}))
        welcome = json.loads(await socket.recv())
        if welcome["type"] != "welcome":
            raise RuntimeError(f"no welcome: {welcome}")
        return socket


async def _apply_all(socket: ClientConnection, name: str) -> None:
    async for text in socket:
        frame = json.loads(text)
        if frame["type"] == "actions":
            results = [_applied(name, action["id"]) for action in frame["actions"]]
            await socket.send(json.dumps({"type": "results", "results": results}))


def _applied(name: str, action_id: int) -> dict[str, Any]:
    return {"charger": name, "id": action_id, "status": "applied", "reason": None, "result": None}


async def _report(chargers: Iterable[tuple[ClientConnection, str]], per_s: float) -> None:
    """Each charger sends its connector so often, spread evenly over the time between two reports."""
    chargers = list(chargers)
    loop = asyncio.get_running_loop()
    due, energy_wh = loop.time(), 0.0
    while True:
        for socket, name in chargers:
            energy_wh += 0.1
            connector = {"connector_id": 1, "evse_id": None, "status": "Charging", "plugged": True}
            meter = {"transaction_id": "1", "power_w": 7360, "energy_wh": energy_wh, "soc_percent": 40}
            more = {"id_token": None, "fault": None}
            state = {"charger": name, "connectors": [{**connector, **meter, **more}]}
            await socket.send(json.dumps({"type": "states", "states": [state]}))
            due += 1 / per_s / len(chargers)
            await asyncio.sleep(max(0.0, due - loop.time()))


async def _lines() -> Any:
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
