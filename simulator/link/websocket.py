"""Opens the WebSocket to the CSMS, and explains in plain words why that failed or the connection ended."""

import asyncio
import errno
import os
import random
import ssl
from asyncio.sslproto import SSLProtocol
from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import (
    ConnectionClosed,
    InvalidHandshake,
    InvalidStatus,
    NegotiationError,
)
from websockets.typing import Subprotocol

from simulator.link.connection import READ_BYTES, Connection
from simulator.link.names import resolve
from simulator.settings import Settings

PING_TIMEOUT_S = 20.0
CLOSE_TIMEOUT_S = 2.0
#: Of a frame from the CSMS; enough for a local list of some thousand entries.
MAX_FRAME_BYTES = 512 * 1024
#: Frames read ahead of the one being answered.
MAX_QUEUED_FRAMES = 4


class LinkError(Exception):
    """There is no connection: `reason` is a code to compare, `detail` a sentence to read."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail
        self.was_accepted = False  #: whether the CSMS had accepted the charger over this link


async def open_link(settings: Settings, subprotocol: str, password: bytes | None) -> ClientConnection:
    """Tries the allowed addresses of the CSMS one after another. Raises LinkError."""
    url = urlsplit(settings.url)
    host, port = url.hostname or "", url.port or (443 if url.scheme == "wss" else 80)
    arguments: dict[str, Any] = {}
    if url.scheme == "wss":
        arguments["ssl"] = tls_context(settings.ca_file, settings.ca_certificates)
        # Shorter than the whole timeout, so that a silent TLS handshake is reported as such.
        arguments["ssl_handshake_timeout"] = settings.open_timeout_s * 0.8
    if password is not None:
        credentials = settings.identity.encode() + b":" + password
        arguments["additional_headers"] = {"Authorization": f"Basic {b64encode(credentials).decode()}"}
    error = LinkError("dns_failure", f"no address found for {host}")
    for address in await _allowed_addresses(host, port, settings):
        try:
            return await _open_websocket(settings, subprotocol, (address, port), arguments)
        except LinkError as failure:
            error = failure
            if failure.reason not in ("connection_refused", "connection_timeout", "network_unreachable"):
                break
    raise error


class ConnectNoRedirects(connect):
    """Treats a redirect as any other HTTP status: a charger connects to the configured URL only."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


async def _open_websocket(
    settings: Settings, subprotocol: str, endpoint: tuple[str, int], arguments: dict[str, Any]
) -> ClientConnection:
    address, port = endpoint
    # With restricted destinations, no message reveals an address of the operator's network.
    shown = (urlsplit(settings.url).hostname or "") if settings.destinations.restricted else address
    where = f"{shown}:{port}" if ":" not in shown else f"[{shown}]:{port}"
    try:
        connection = await ConnectNoRedirects(
            settings.url,
            host=address,
            port=port,
            subprotocols=[Subprotocol(subprotocol)],
            proxy=None,
            create_connection=Connection,
            compression=None,  # saves 300 KB per charger; frames are small
            open_timeout=settings.open_timeout_s,
            close_timeout=CLOSE_TIMEOUT_S,
            ping_interval=None,  # `Session.ping` does it: the interval may change while the connection is open
            max_size=MAX_FRAME_BYTES,
            max_queue=MAX_QUEUED_FRAMES,
            **arguments,
        )
    except (OSError, TimeoutError, InvalidHandshake, EOFError) as error:
        if isinstance(error, InvalidStatus):
            raise _explain_status(error, subprotocol) from error
        if isinstance(error, NegotiationError):
            raise _no_subprotocol(subprotocol) from error
        raise explain_failure(error, where, settings.open_timeout_s) from error
    if connection.subprotocol != subprotocol:
        await connection.close(1002, "subprotocol required")
        raise _no_subprotocol(subprotocol)
    for exchanged in (connection.request, connection.response):
        if exchanged is not None:
            exchanged.headers.clear()  # 4 KiB, and the password
    return connection


def tls_context(ca_file: str | None, ca_certificates: str | None = None) -> ssl.SSLContext:
    """Trusts these authorities (PEM), or those of the file; without both, those of the system. Raises LinkError."""
    if ca_certificates:
        try:
            return _tls_context_of(None, 0, ca_certificates)
        except (ValueError, ssl.SSLError) as error:
            raise LinkError("tls_failure", f"the CA certificates cannot be used: {error}") from error
    path = ca_file or ssl.get_default_verify_paths().cafile
    try:
        changed_ns = Path(path).stat().st_mtime_ns if path else 0
        return _tls_context_of(ca_file, changed_ns)
    except (OSError, ssl.SSLError) as error:
        raise LinkError("tls_failure", f"the CA file {ca_file} cannot be used: {error}") from error


@lru_cache(maxsize=4)
def _tls_context_of(
    ca_file: str | None, _changed_ns: int, ca_certificates: str | None = None
) -> ssl.SSLContext:
    """Shared by the attempts and chargers of a process, until the file changes: one takes 20 ms and 0.8 MB."""
    SSLProtocol.max_size = READ_BYTES  # each connection has a buffer of this size
    return ssl.create_default_context(cafile=ca_file, cadata=ca_certificates)


async def _allowed_addresses(host: str, port: int, settings: Settings) -> list[str]:
    """Resolves the name for this attempt. The charger connects to the very addresses that were checked here.

    With restricted destinations, an unknown name and a name with a refused address fail alike, so that the failure
    does not reveal which names the operator's network has.
    """
    destinations = settings.destinations
    addresses: list[str] = []
    try:
        async with asyncio.timeout(settings.open_timeout_s):
            addresses = await resolve(host, port)
    except (OSError, UnicodeError) as error:
        if not destinations.restricted:
            raise explain_unresolved(error, host, settings.open_timeout_s) from error
    allowed = [
        address
        for address in addresses
        if not destinations.refuse_address(host, ip_address(address.partition("%")[0]))
    ]
    if destinations.restricted and not allowed:
        raise LinkError("address_forbidden", f"{host} has no address that a charger may connect to here")
    if addresses and not allowed:
        raise LinkError("address_forbidden", f"{host} is {addresses[0]}, where no CSMS may be")
    return allowed


HINTS = {
    401: "the password is wrong or missing",
    403: "the CSMS forbids this charger",
    404: "the CSMS does not know this path or identity",
}


def explain_unresolved(error: Exception, host: str, timeout_s: float) -> LinkError:
    """Why the name has no address."""
    why = getattr(error, "strerror", None) or str(error) or f"no answer within {timeout_s:g} s"
    return LinkError("dns_failure", f"the name {host} cannot be resolved: {why}")


def explain_failure(error: Exception, where: str, timeout_s: float) -> LinkError:
    """Why no connection to `where`, as host and port, was opened."""
    match error:  # the most specific first
        case InvalidHandshake():
            why = ("not_a_websocket", f"{where} does not answer as a WebSocket server")
        case ssl.SSLError():
            explanation = getattr(error, "verify_message", None) or error.reason or str(error)
            why = ("tls_failure", f"TLS with {where} failed: {explanation}")
        case TimeoutError():
            why = ("connection_timeout", f"{where} did not answer within {timeout_s:g} s")
        case ConnectionRefusedError():
            why = ("connection_refused", f"nothing listens on {where}")
        case ConnectionAbortedError() if "SSL handshake" in str(error):
            why = ("tls_failure", f"{where} did not answer the TLS handshake")
        case ConnectionError() | EOFError():
            why = ("connection_lost", f"{where} closed the connection during the handshake")
        case OSError(errno=errno.ENETUNREACH | errno.EHOSTUNREACH | errno.EADDRNOTAVAIL):
            why = ("network_unreachable", f"there is no route to {where}")
        case OSError(errno=int(number)):  # the error's own text may contain the address
            why = ("connection_failed", f"{where}: {os.strerror(number)}")
        case _:
            why = ("connection_failed", f"{where}: {error}")
    return LinkError(*why)


def _explain_status(error: InvalidStatus, subprotocol: str) -> LinkError:
    status = error.response.status_code
    body = (error.response.body or b"")[:1000].decode("utf-8", "replace")
    if status == HTTPStatus.BAD_REQUEST and "subprotocol" in body.lower():
        return _no_subprotocol(subprotocol)
    hint = HINTS.get(status) or "redirects are not followed" * (300 <= status < 400) or "see the CSMS's log"
    return LinkError(f"http_{status}", f"the CSMS answered the handshake with HTTP {status}: {hint}")


def _no_subprotocol(subprotocol: str) -> LinkError:
    return LinkError("subprotocol_not_accepted", f"the CSMS does not speak {subprotocol}")


def explain_close(closed: ConnectionClosed) -> LinkError:
    """The reason for which an open connection ended."""
    if closed.rcvd is not None and not (closed.sent and closed.rcvd_then_sent is False):
        received = f"{closed.rcvd.code} {closed.rcvd.reason}".strip()
        return LinkError("closed_by_csms", f"the CSMS closed the connection ({received})")
    if closed.sent is not None and closed.sent.code == 1009:
        return LinkError("frame_too_big", f"the CSMS sent a frame of more than {MAX_FRAME_BYTES} bytes")
    if closed.sent is not None and closed.sent.code == 1011:
        return LinkError("connection_lost", f"the CSMS did not answer a ping within {PING_TIMEOUT_S:g} s")
    if closed.sent is not None and closed.sent.code == 1008:
        return LinkError("protocol_error", "the CSMS sent too many pings")
    if closed.sent is not None and closed.sent.code in (1002, 1007):
        return LinkError("protocol_error", f"the CSMS broke the WebSocket protocol: {closed.sent.reason}")
    return LinkError("connection_lost", "the connection broke without a closing handshake")


class Waits(Protocol):
    """In seconds: the first wait, the random part of each, and the longest with its random part."""

    @property
    def retry_wait_s(self) -> float: ...

    @property
    def retry_random_s(self) -> float: ...

    @property
    def retry_max_s(self) -> float: ...


def retry_delays(settings: Waits) -> Iterator[float]:
    """Seconds before each reconnect: doubled each time, plus a random part (OCPP 2.0.1 part 4, 5.3)."""
    wait_s = settings.retry_wait_s
    longest_s = settings.retry_max_s - settings.retry_random_s
    while True:
        yield min(wait_s, longest_s) + random.uniform(0, settings.retry_random_s)
        wait_s = min(wait_s * 2, longest_s)
