"""Opens the WebSocket to the control link, and explains why that failed or it ended, and how long to wait then."""

import asyncio
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from simulator.control.settings import ControlSettings
from simulator.link.connection import Connection
from simulator.link.names import resolve
from simulator.link.websocket import (
    ConnectNoRedirects,
    LinkError,
    explain_failure,
    explain_unresolved,
    tls_context,
)

SUBPROTOCOL = "chargehand.control.v1"
MAX_FRAME_BYTES = 1024 * 1024
OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 0.5  #: a charger ends within 5 s, and has said goodbye to its CSMS before
PING_S = 20.0  #: between two pings, and for the answer to one


class Waits(NamedTuple):
    """As `retry_delays` takes them, in seconds."""

    retry_wait_s: float
    retry_random_s: float
    retry_max_s: float


#: The link was restarted, or the network is away.
SOON = Waits(0.5, 2.0, 20.0)
#: It is full, or an earlier boot of this process is still connected.
LATER = Waits(2.0, 5.0, 60.0)
#: It refuses this process: somebody has to change something.
SELDOM = Waits(15.0, 30.0, 300.0)

#: The close code that says that another boot of this process is connected.
TAKEN = 4009

#: By close code, and by status of the handshake.
WAITS = {
    4001: SELDOM,
    4003: SELDOM,
    4004: SELDOM,
    4009: LATER,
    4029: LATER,
    401: SELDOM,
    403: SELDOM,
    503: LATER,
}

#: They say that the token is not good.
BAD_TOKEN = (401, 4001)


class Away(Exception):
    """There is no control link. The message says why."""

    def __init__(self, message: str, code: int = 0) -> None:
        """`code`: a close code or an HTTP status, if there is one."""
        super().__init__(message)
        self.code = code
        self.waits = WAITS.get(code, SOON)
        self.is_bad_token = code in BAD_TOKEN


async def open_control(settings: ControlSettings, token: str) -> ClientConnection:
    """Tries the addresses of the link one after another. Raises Away."""
    url = urlsplit(settings.url)
    port = url.port or (443 if url.scheme == "wss" else 80)
    away = Away(f"no address found for {url.hostname}")
    try:
        async with asyncio.timeout(OPEN_TIMEOUT_S):
            addresses = await resolve(url.hostname or "", port)
    except (OSError, UnicodeError) as error:
        raise Away(explain_unresolved(error, url.hostname or "", OPEN_TIMEOUT_S).detail) from error
    for address in addresses:
        try:
            return await _open(settings, token, address, port)
        except InvalidStatus as error:
            status = error.response.status_code
            raise Away(f"it answered with HTTP {status}", status) from error
        except LinkError as error:
            away = Away(error.detail)
        except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
            away = Away(explain_failure(error, f"{url.hostname}:{port}", OPEN_TIMEOUT_S).detail)
    raise away


async def _open(settings: ControlSettings, token: str, address: str, port: int) -> ClientConnection:
    tls: dict[str, Any] = {"ssl": tls_context(settings.ca_file)} if settings.url.startswith("wss:") else {}
    return await ConnectNoRedirects(
        settings.url,
        host=address,
        port=port,
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers={"Authorization": f"Bearer {token}"},
        proxy=None,
        create_connection=Connection,
        compression=None,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        ping_interval=PING_S,
        ping_timeout=PING_S,
        max_size=MAX_FRAME_BYTES,
        max_queue=4,
        **tls,
    )


def explain_end(closed: ConnectionClosed) -> Away:
    if closed.rcvd is None:
        return Away("the connection broke")
    return Away(f"it closed the connection ({closed.rcvd.code} {closed.rcvd.reason})", closed.rcvd.code)
