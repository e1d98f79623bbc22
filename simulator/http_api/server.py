"""Listens for the HTTP API.

Uses uvicorn's protocol without its server, which would install signal handlers, end the process when something is wrong, and
wake up ten times a second.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from uvicorn.config import Config
from uvicorn.server import ServerState

from simulator.charge_point.charge_point import ChargePoint
from simulator.http_api.app import build_app
from simulator.http_api.connection import Connection
from simulator.settings import BadSettings, Settings

#: Of a request's line and headers.
MAX_HEAD_BYTES = 32 * 1024

#: Connections that the operating system keeps until the charger takes them.
BACKLOG = 32

#: Seconds between a response and the next request on its connection.
KEEP_ALIVE_S = 15

#: Seconds that an answer has to get written once the charger has ended.
LAST_ANSWERS_S = 0.2


@asynccontextmanager
async def serve(charge_point: ChargePoint) -> AsyncIterator[str]:
    """Serves the API of this charger meanwhile; gives its URL. Raises BadSettings when the port cannot be used."""
    settings = charge_point.settings
    if settings.http_token:
        charge_point.log.hide(settings.http_token)
    logging.getLogger("uvicorn.error").setLevel(
        logging.ERROR
    )  # nonsense of clients would fill the charger's log
    closing, state = asyncio.Event(), ServerState()
    config = Config(
        build_app(charge_point, closing),
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    config.load()
    server = await _listen(settings, lambda: Connection(config, state, {}))
    url = _url(*server.sockets[0].getsockname()[:2])
    charge_point.log.remark("info", f"the HTTP API of this charger listens at {url}")
    try:
        yield url
    finally:
        server.close()
        closing.set()
        await _end(state)


async def _listen(settings: Settings, make: Callable[[], Connection]) -> asyncio.Server:
    host, port = settings.http_host, settings.http_port
    try:
        return await asyncio.get_running_loop().create_server(make, host, port, backlog=BACKLOG)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise BadSettings(f"CHARGER_HTTP_PORT: cannot listen at {host} port {port}: {reason}") from error


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _end(state: ServerState) -> None:
    """Lets running requests be answered, and then closes every connection."""
    for connection in list(state.connections):
        connection.shutdown()
    if state.tasks:
        await asyncio.wait(set(state.tasks), timeout=LAST_ANSWERS_S)
    for connection in list(state.connections):
        connection.transport.abort()
