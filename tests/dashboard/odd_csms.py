"""A CSMS that answers a boot late, one call with an error of hostile text and one never, and calls the charger all the time."""

import asyncio
import json
import threading
from itertools import count

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from embedded.ports import HOST

HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
BOOT_ANSWERED_AFTER_S = 0.7
CALLS_EVERY_S = 0.5


class OddCsms:
    """Speaks OCPP 1.6. A StatusNotification of connector 0 is answered with an error, one of another never."""

    def __init__(self) -> None:
        self.url = ""
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self) -> "OddCsms":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        async with serve(
            self._talk, HOST, 0, subprotocols=[Subprotocol("ocpp1.6")], compression=None
        ) as server:
            self.url = f"ws://{HOST}:{server.sockets[0].getsockname()[1]}/ocpp"
            self._ready.set()
            await self._stop.wait()

    async def _talk(self, connection: ServerConnection) -> None:
        calling = asyncio.create_task(self._call_often(connection))
        try:
            async for text in connection:
                await self._answer(connection, json.loads(text))
        except ConnectionClosed:
            pass
        finally:
            calling.cancel()

    async def _answer(self, connection: ServerConnection, message: list[object]) -> None:
        match message:
            case [2, id_, "BootNotification", _]:
                await asyncio.sleep(BOOT_ANSWERED_AFTER_S)
                now = "2026-04-09T12:00:00Z"
                answer = [3, id_, {"status": "Accepted", "currentTime": now, "interval": 3600}]
            case [2, id_, "StatusNotification", {"connectorId": 0}]:
                answer = [4, id_, "InternalError", HOSTILE, {"more": HOSTILE}]
            case [2, id_, "SecurityEventNotification", _]:  # or the charger holds back what follows
                answer = [3, id_, {}]
            case _:
                return
        await connection.send(json.dumps(answer))

    async def _call_often(self, connection: ServerConnection) -> None:
        try:
            for number in count():
                await asyncio.sleep(CALLS_EVERY_S)
                call = [2, f"call-{number}", "GetConfiguration", {"key": ["HeartbeatInterval"]}]
                await connection.send(json.dumps(call))
        except ConnectionClosed:
            pass
