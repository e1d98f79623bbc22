"""A CSMS that costs little, as a process: python -m bench.support.light_csms --port PORT. GET / says how many chargers are connected."""

import asyncio
import json
from collections import Counter
from http import HTTPStatus

import click
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from bench.support.csms import Csms
from embedded.ports import HOST

HEARTBEAT_S = 60


class LightCsms:
    """Accepts every charger, and counts its connections."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        self._most = 0

    async def serve(self, socket: ServerConnection) -> None:
        path = socket.request.path if socket.request else ""
        self._open[path] += 1
        self._most = max(self._most, self._open[path])
        try:
            await Csms(HEARTBEAT_S).serve(socket)
        finally:
            self._open[path] -= 1

    def answer(self, socket: ServerConnection, request: Request) -> Response | None:
        """The counts, for a request that opens no WebSocket."""
        if "Upgrade" in request.headers:
            return None
        counts = {"open": self._open.total(), "most_of_one": self._most}
        return socket.respond(HTTPStatus.OK, json.dumps(counts))


@click.command()
@click.option("--port", type=int, required=True)
def main(port: int) -> None:
    asyncio.run(_serve(port))


async def _serve(port: int) -> None:
    csms = LightCsms()
    subprotocols = [Subprotocol("ocpp1.6"), Subprotocol("ocpp2.0.1")]
    async with serve(
        csms.serve,
        HOST,
        port,
        subprotocols=subprotocols,
        process_request=csms.answer,
        compression=None,
        ping_interval=None,
    ) as server:
        await server.serve_forever()


if __name__ == "__main__":
    main()
