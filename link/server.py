"""The edge of the link: the upgrade to WebSocket, and what monitoring reads over HTTP."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import structlog
from websockets.asyncio.server import Server, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from link import metrics
from link.conversation import converse
from link.process import Link
from link.wire.connection import ControlConnection
from link.wire.frames import MAX_FRAME_BYTES
from shared.auth.errors import TokenRefused

log = structlog.get_logger(__name__)

SUBPROTOCOL = Subprotocol("chargehand.control.v1")
PING_S, PING_TIMEOUT_S = 20.0, 20.0
OPEN_TIMEOUT_S, CLOSE_TIMEOUT_S = 10.0, 2.0
MAX_QUEUED_FRAMES = 4  # of a session, read ahead of the one that is served
RETRY_AFTER_S = 5

#: The library writes a traceback for everything that is no WebSocket handshake. Our own lines say what matters.
_silent = logging.getLogger("link.websockets")
_silent.setLevel(logging.CRITICAL + 1)


@asynccontextmanager
async def listening(link: Link, host: str, port: int) -> AsyncIterator[Server]:
    """Serve processes of chargers while the with-block runs. Raises OSError when the address cannot be used."""
    server = await serve(
        lambda connection: converse(link, cast(ControlConnection, connection)),
        host,
        port,
        process_request=lambda connection, request: answer_request(
            link, cast(ControlConnection, connection), request
        ),
        create_connection=ControlConnection,
        subprotocols=[SUBPROTOCOL],
        compression=None,  # 300 KB for each connection; frames are small
        max_size=MAX_FRAME_BYTES,
        max_queue=MAX_QUEUED_FRAMES,
        ping_interval=PING_S,
        ping_timeout=PING_TIMEOUT_S,
        open_timeout=OPEN_TIMEOUT_S,
        close_timeout=CLOSE_TIMEOUT_S,
        server_header=None,
        logger=_silent,
        backlog=1024,
    )
    try:
        yield server
    finally:
        server.close(close_connections=False)


def answer_request(link: Link, connection: ControlConnection, request: Request) -> Response | None:
    """The answer to a request for /health or /metrics, or the refusal of an upgrade; None to upgrade."""
    path = urlsplit(request.path).path
    if path == "/health":
        return _plain(b'{"status":"ok"}\n', "application/json")
    if path == "/metrics":
        link.measure()
        return _plain(metrics.exposition(), "text/plain; version=0.0.4; charset=utf-8")
    if not path.endswith("/control"):
        return connection.respond(HTTPStatus.NOT_FOUND, "There is only /control.\n")
    return _refusal(link, connection, request)


def _refusal(link: Link, connection: ControlConnection, request: Request) -> Response | None:
    """Why the process is refused; None when its token is good and there is room for it."""
    try:
        connection.claims = link.tokens.verify(_bearer(request))
    except TokenRefused as error:
        _count_refusal("bad_token", connection, str(error))
        refused = connection.respond(HTTPStatus.UNAUTHORIZED, "The token is not good.\n")
        refused.headers["WWW-Authenticate"] = "Bearer"
        return refused
    if link.connections >= link.max_sessions:
        _count_refusal("full", connection, f"{link.connections} connections")
        refused = connection.respond(HTTPStatus.SERVICE_UNAVAILABLE, "This process of the link is full.\n")
        refused.headers["Retry-After"] = str(RETRY_AFTER_S)
        return refused
    return None


def _bearer(request: Request) -> str:
    """The token of the request; empty without exactly one."""
    given = request.headers.get_all("Authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    return token.strip() if scheme.lower() == "bearer" else ""


def _count_refusal(outcome: str, connection: ControlConnection, reason: str) -> None:
    metrics.HELLOS.labels(outcome).inc()
    address = connection.remote_address
    log.info("control.not_upgraded", outcome=outcome, reason=reason, address=address[0] if address else None)


def _plain(body: bytes, content_type: str) -> Response:
    headers = Headers({"Content-Type": content_type, "Content-Length": str(len(body)), "Connection": "close"})
    return Response(HTTPStatus.OK.value, HTTPStatus.OK.phrase, headers, body)
