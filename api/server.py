"""gunicorn's gevent worker, with a time limit on everything that a client can hold without working.

A client that reads nothing, sends its request byte by byte or is idle between two requests costs a connection. Each of
these has its own time-out, and when connections run out, those that wait for their client are closed, oldest first.
So a new client, and with it every probe, is always served.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import IntEnum
from time import monotonic
from typing import Any

import gevent
import orjson
import structlog
from gevent import Timeout
from gevent.local import local
from gevent.select import POLLIN, poll
from gunicorn.http import errors
from gunicorn.workers.ggevent import GeventWorker

log = structlog.get_logger(__name__)

HEAD_TIMEOUT_S = 15  # for a request's head, from its first byte
WRITE_TIMEOUT_S = 30  # for a client to take one write, at most PART_BYTES when there is much to send
PART_BYTES = 64 * 1024
RESERVE = 0.1  # of the connections: when fewer are free, those that wait for their client are closed
LINGER_S = 2.0  # that a connection at rest is kept while the process ends
STALLED_S = 1.0  # a read of a body, or a write, that takes this long waits for its client

#: What gunicorn refuses before the app has the request; any other error of its parser is a 400.
STATUS_OF = {
    errors.LimitRequestLine: "414 URI Too Long",
    errors.ExpectationFailed: "417 Expectation Failed",
    errors.LimitRequestHeaders: "431 Request Header Fields Too Large",
    errors.UnsupportedTransferCoding: "501 Not Implemented",
}
OURS = (errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)  # the app's errors, not the client's


class Phase(IntEnum):
    """The phase of a connection."""

    RESTING = 0  # no byte of a request has arrived
    HEAD = 1  # the head of a request arrives
    TRANSFER = 2  # a body arrives, or an answer leaves
    WORKING = 3  # the app has the request


class Connection:
    """A client's socket, as gunicorn uses it, with the phase that it is in."""

    def __init__(self, sock: Any, *, rest_s: float) -> None:
        self._socket = sock
        self._rest_s = rest_s
        self._timer: Timeout | None = None
        self.phase = Phase.RESTING
        self.since = monotonic()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    def recv(self, *args: Any) -> bytes:
        """Data, or b"" when the client or `evict` ended the connection."""
        if self.phase == Phase.WORKING:
            with self._transferring():
                body: bytes = self._socket.recv(*args)
                return body
        if self.phase == Phase.HEAD and self._timer is not None and self._timer.seconds != HEAD_TIMEOUT_S:
            self._restart_timer(HEAD_TIMEOUT_S)  # the head came in more than one piece
        data: bytes = self._socket.recv(*args)
        if self.phase == Phase.RESTING:
            self.enter(Phase.HEAD)
        return data

    def sendall(self, data: bytes) -> None:
        """Raises TimeoutError when the client takes nothing, or too little, for WRITE_TIMEOUT_S."""
        with self._transferring():
            self._socket.settimeout(WRITE_TIMEOUT_S)
            try:
                if len(data) <= PART_BYTES:
                    self._socket.sendall(data)
                    return
                view = memoryview(data)
                for start in range(0, len(view), PART_BYTES):
                    self._socket.sendall(view[start : start + PART_BYTES])
            finally:
                self._socket.settimeout(None)

    def enter(self, phase: Phase) -> None:
        self.phase, self.since = phase, monotonic()

    @contextmanager
    def awaiting_request(self, *, first: bool) -> Iterator[None]:
        """Leave the block without an error if no request comes in time."""
        self.enter(Phase.RESTING)
        self._restart_timer(HEAD_TIMEOUT_S if first else self._rest_s)
        try:
            yield
        except Timeout as over:
            if over is not self._timer:
                raise
        finally:
            if self._timer is not None:
                self._timer.close()
            self._timer = None
            self.enter(Phase.WORKING)

    def evict(self) -> None:
        """End the connection from another greenlet: the one that waits for the client gets an end of file."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def has_data(self) -> bool:
        """Whether unread bytes, or an end of file, have arrived."""
        ready = poll()
        ready.register(self._socket.fileno(), POLLIN)
        return bool(ready.poll(0))

    def may_be_evicted(self) -> bool:
        if self.phase == Phase.TRANSFER:
            return monotonic() - self.since > STALLED_S
        return self.phase != Phase.WORKING

    def _restart_timer(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.close()
        self._timer = Timeout.start_new(seconds)

    @contextmanager
    def _transferring(self) -> Iterator[None]:
        before = self.phase
        self.enter(Phase.TRANSFER)
        try:
            yield
        finally:
            self.enter(before)


class ApiWorker(GeventWorker):  # type: ignore[misc]  # gunicorn has no types
    """Serves each connection in a greenlet, at most worker_connections of them."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections: set[Connection] = set()
        self._here = local()

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """All requests of one connection."""
        connection = self._here.connection = Connection(client, rest_s=self.cfg.keepalive)
        self._here.served = False
        self._connections.add(connection)
        try:
            if len(self._connections) > self.worker_connections * (1 - RESERVE):
                self._evict_one(connection)
            super().handle(listener, connection, addr)
        finally:
            self._connections.discard(connection)

    def timeout_ctx(self) -> Any:
        """Around the wait for the next request."""
        first, self._here.served = not self._here.served, True
        connection: Connection = self._here.connection
        if not self.alive and not first:
            connection.evict()  # the process ends, and this request was the last
        return connection.awaiting_request(first=first)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> Any:
        """One request. A client that does not take its answer is let go, which is no error of ours."""
        if not self.alive:
            req.force_close()
        try:
            return super().handle_request(listener_name, req, sock, addr)
        except TimeoutError:
            log.info("client.let_go", path=req.path, waited_s=WRITE_TIMEOUT_S)
            raise StopIteration from None

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what gunicorn itself refuses as the app would: as JSON."""
        if isinstance(exc, errors.ParseException) and not isinstance(exc, OURS):
            status, detail = STATUS_OF.get(type(exc), "400 Bad Request"), str(exc)
            log.warning("request.refused", status=status, error=detail, address=addr[0] if addr else None)
        else:
            status, detail = "500 Internal Server Error", "Internal Server Error"
            log.error(
                "request.failed",
                method=getattr(req, "method", None),
                path=getattr(req, "path", None),
                exc_info=exc,
            )
        body = orjson.dumps({"detail": detail})
        head = f"HTTP/1.1 {status}\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with suppress(OSError, Timeout):
            client.sendall(head.encode() + body)

    def close_resting(self) -> None:
        """End the idle connections, and return when none is left: the process ends.

        The next request of a recently used one may be on its way. It is answered, with `Connection: close`.
        """
        while resting := [one for one in self._connections if one.phase == Phase.RESTING]:
            for connection in resting:
                if monotonic() - connection.since > LINGER_S and not connection.has_data():
                    connection.evict()
            gevent.sleep(0.1)

    def _evict_one(self, newcomer: Connection) -> None:
        evictable = [one for one in self._connections if one is not newcomer and one.may_be_evicted()]
        if evictable:
            min(evictable, key=lambda one: (one.phase == Phase.TRANSFER, one.since)).evict()
