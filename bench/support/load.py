"""A closed-loop HTTP client that is light enough to share two cores with what it measures."""

import selectors
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median, quantiles
from time import perf_counter

from embedded.ports import HOST

CONNECTIONS = 32
NONE: Iterator[bytes] = iter(())
STALLED_S = 10  # without any answer: something is wrong with the server


class BadAnswer(Exception):
    """An answer that is not what the run is about: the figures would mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What the client saw of one run."""

    requests: int
    seconds: float
    latencies_ms: Sequence[float] = field(repr=False)

    @property
    def per_s(self) -> float:
        return self.requests / self.seconds

    @property
    def p50_ms(self) -> float:
        return median(self.latencies_ms)

    @property
    def p99_ms(self) -> float:
        return quantiles(self.latencies_ms, n=100)[98]


def post(path: str, token: str) -> bytes:
    """A request without a body, ready to be sent."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def get(path: str, token: str) -> bytes:
    """Likewise."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def drive(
    port: int, requests: Iterator[bytes], *, seconds: float, status: int, connections: int = CONNECTIONS
) -> Load:
    """Keep every connection busy with one request at a time. Raises BadAnswer."""
    with selectors.DefaultSelector() as selector:
        clients = [Client(port, requests) for _ in range(connections)]
        try:
            return _drive(selector, clients, seconds, f"HTTP/1.1 {status} ".encode())
        finally:
            for client in clients:
                client.socket.close()


def _drive(
    selector: selectors.BaseSelector, clients: list["Client"], seconds: float, expected: bytes
) -> Load:
    started = perf_counter()
    for client in clients:
        selector.register(client.socket, selectors.EVENT_READ, client)
        client.send()
    latencies_ms: list[float] = []
    until = started + seconds
    busy = len(clients)
    while busy:
        ready = selector.select(STALLED_S)
        if not ready:
            raise BadAnswer(f"no answer for {STALLED_S} s")
        for key, _ in ready:
            client = key.data
            answer = client.receive()
            if answer is None:
                continue
            now = perf_counter()
            latencies_ms.append((now - client.sent_at) * 1000)
            if not answer.startswith(expected):
                raise BadAnswer(answer[:500].decode(errors="replace"))
            if now < until:
                client.send()
            else:
                busy -= 1
    return Load(len(latencies_ms), perf_counter() - started, latencies_ms)


class Client:
    """One connection with one request under way."""

    def __init__(self, port: int, requests: Iterator[bytes] = NONE) -> None:
        self._requests = requests
        self._received = b""
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent_at = 0.0

    def send(self) -> None:
        request = next(self._requests)
        self._received = b""
        self.sent_at = perf_counter()
        self.socket.sendall(request)

    def ask(self, request: bytes) -> bytes:
        """Send this request and wait for the answer."""
        self._received = b""
        self.socket.sendall(request)
        while (answer := self.receive()) is None:
            pass
        return answer

    def receive(self) -> bytes | None:
        """The answer, once all of it is there."""
        part = self.socket.recv(65_536)
        if not part:
            raise BadAnswer("the server closed the connection")
        self._received += part
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _content_length(head):
            return None
        return self._received


def _content_length(head: bytes) -> int:
    at = head.lower().find(b"\r\ncontent-length:")
    if at < 0:
        raise BadAnswer("an answer without a length")
    return int(head[at + 17 :].split(b"\r\n", 1)[0])
