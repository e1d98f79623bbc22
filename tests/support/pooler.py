"""A proxy of PostgreSQL that behaves like PgBouncer where PgBouncer differs from PostgreSQL."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from embedded.ports import HOST

#: Parameters of the start that PgBouncer passes on; any other ends the connection.
PASSED_ON = {"application_name", "client_encoding", "database", "user"}
#: Messages of the server's start-up that are repeated to a second client: parameters, and the key.
REMEMBERED = b"SK"
AUTHENTICATED = b"R" + struct.pack("!II", 8, 0)
READY = b"Z" + struct.pack("!I", 5) + b"I"


class Pooler:
    """Takes connections until it is closed. With `shares` all of them have one connection to the server."""

    def __init__(self, upstream_port: int, *, shares: bool) -> None:
        self._upstream_port = upstream_port
        self._shares = shares
        self._servers: list[socket.socket] = []
        self._server: socket.socket | None = None
        self._start = b""  #: the server's start-up messages to the first client
        self._client: socket.socket | None = None  #: the client that sent the last message
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for server in self._servers:
            server.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError), client:
            body = exactly(client, struct.unpack("!I", exactly(client, 4))[0] - 4)
            while struct.unpack("!I", body[:4])[0] >> 16 != 3:  # asks for TLS or GSS
                client.sendall(b"N")
                body = exactly(client, struct.unpack("!I", exactly(client, 4))[0] - 4)
            words = body[4:].rstrip(b"\0").split(b"\0")
            for name in words[::2]:
                if name.decode() not in PASSED_ON:
                    client.sendall(refusal(f"unsupported startup parameter: {name.decode()}"))
                    return
            self._client = client
            if self._shares and self._server is not None:
                client.sendall(AUTHENTICATED + self._start + READY)
                self._forward(client, self._server)
                return
            server = socket.create_connection((HOST, self._upstream_port))
            self._servers.append(server)
            server.sendall(struct.pack("!I", len(body) + 4) + body)
            threading.Thread(target=self._answer, args=(server, client), daemon=True).start()
            self._server = server
            try:
                self._forward(client, server)
            finally:
                if not self._shares:
                    server.close()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        while data := client.recv(65_536):
            if self._shares and data.startswith(b"X"):  # one leaves, the others stay
                return
            self._client = client
            server.sendall(data)

    def _answer(self, server: socket.socket, first: socket.socket) -> None:
        with suppress(OSError):
            while True:
                kind, length = exactly(server, 1), exactly(server, 4)
                message = kind + length + exactly(server, struct.unpack("!I", length)[0] - 4)
                if kind in REMEMBERED:
                    self._start += message
                ((self._client or first) if self._shares else first).sendall(message)


def exactly(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        part = connection.recv(count - len(data))
        if not part:
            raise ConnectionResetError
        data += part
    return data


def refusal(text: str) -> bytes:
    fields = b"SFATAL\0VFATAL\0C08P01\0M" + text.encode() + b"\0\0"
    return b"E" + struct.pack("!I", len(fields) + 4) + fields


@contextmanager
def running_pooler(upstream_port: int | None, *, shares: bool = False) -> Iterator[int]:
    """Yields its port."""
    assert upstream_port is not None
    pooler = Pooler(upstream_port, shares=shares)
    try:
        yield pooler.port
    finally:
        pooler.close()
