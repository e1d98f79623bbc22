"""Generates HTTP load with little CPU: a closed loop for throughput, an open one for latency.

In a closed loop a slow answer delays the requests behind it, and no latency shows that delay ("coordinated
omission"). An open loop sends on a schedule and counts a latency from the scheduled moment.
"""

import json
import selectors
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from statistics import median, quantiles
from time import perf_counter

from embedded.ports import HOST

CONNECTIONS = 32
RATE_CONNECTIONS = 128  # of an open loop: enough for all requests that are under way at once
NO_REQUESTS: Iterator[bytes] = iter(())
STALLED_S = 10.0  # without any answer: something is wrong with the server


class BadAnswer(Exception):
    """An answer with another status than expected: the figures would mean nothing."""


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
        return p99(self.latencies_ms)


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


def add_up(loads: Sequence[Load]) -> Load:
    """The load of all rounds together."""
    return Load(
        sum(load.requests for load in loads),
        sum(load.seconds for load in loads),
        list(chain.from_iterable(load.latencies_ms for load in loads)),
    )


def post(path: str, token: str, body: object = None) -> bytes:
    """The bytes of a POST with the body as JSON; None sends none."""
    content = b"" if body is None else json.dumps(body).encode()
    kind = "Content-Type: application/json\r\n" if content else ""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n"
        f"{kind}Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def get(path: str, token: str) -> bytes:
    """The bytes of a GET."""
    return f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()


def drive(
    port: int, requests: Iterator[bytes], *, seconds: float, status: int, connections: int = CONNECTIONS
) -> Load:
    """A closed loop: keep every connection busy with one request at a time. Raises BadAnswer."""
    with selectors.SelectSelector() as selector:
        try:
            clients = [_connect(selector, port, requests) for _ in range(connections)]
            return _drive(selector, clients, seconds, status)
        finally:
            _close_all(selector)


def _drive(selector: selectors.BaseSelector, clients: list["Client"], seconds: float, status: int) -> Load:
    started = perf_counter()
    for client in clients:
        client.send(perf_counter())
    latencies_ms: list[float] = []
    until = started + seconds
    busy = len(clients)
    while busy:
        for client in _answered(selector, STALLED_S, status):
            now = perf_counter()
            latencies_ms.append((now - client.due_at) * 1000)
            if now < until:
                client.send(now)
            else:
                busy -= 1
    return Load(len(latencies_ms), perf_counter() - started, latencies_ms)


def drive_at_rate(
    port: int,
    requests: Iterator[bytes],
    *,
    per_s: float,
    seconds: float,
    status: int,
    connections: int = RATE_CONNECTIONS,
) -> Load:
    """An open loop: send at a constant rate, whatever is still unanswered. Raises BadAnswer.

    A latency counts from the scheduled moment, so it includes the wait of a request that found every connection busy.
    """
    schedule = deque(number / per_s for number in range(round(per_s * seconds)))
    with selectors.SelectSelector() as selector:
        try:
            return _drive_at_rate(
                selector, lambda: _connect(selector, port, requests), schedule, connections, status
            )
        finally:
            _close_all(selector)


def _drive_at_rate(
    selector: selectors.BaseSelector,
    connect: Callable[[], "Client"],
    schedule: deque[float],
    connections: int,
    status: int,
) -> Load:
    started, total = perf_counter(), len(schedule)
    idle: list[Client] = []
    opened = 0
    latencies_ms: list[float] = []
    while len(latencies_ms) < total:
        while schedule and (idle or opened < connections) and schedule[0] <= perf_counter() - started:
            if not idle:  # opened when needed: an idle new connection would hold one of gthread's threads
                idle.append(connect())
                opened += 1
            idle.pop().send(started + schedule.popleft())
        within_s = STALLED_S
        if schedule and (idle or opened < connections):
            within_s = max(0.0, started + schedule[0] - perf_counter())
        for client in _answered(selector, within_s, status):
            latencies_ms.append((perf_counter() - client.due_at) * 1000)
            idle.append(client)
    return Load(total, perf_counter() - started, latencies_ms)


def _connect(selector: selectors.BaseSelector, port: int, requests: Iterator[bytes]) -> "Client":
    client = Client(port, requests)
    selector.register(client.socket, selectors.EVENT_READ, client)
    return client


def _close_all(selector: selectors.BaseSelector) -> None:
    for key in selector.get_map().values():
        key.data.socket.close()


def _answered(selector: selectors.BaseSelector, within_s: float, status: int) -> Iterator["Client"]:
    """The clients whose answer is complete, after at most `within_s`. Raises BadAnswer."""
    ready = selector.select(within_s)
    if not ready and within_s >= STALLED_S:
        raise BadAnswer(f"no answer for {STALLED_S:g} s")
    for key, _ in ready:
        answer = key.data.receive()
        if answer is None:
            continue
        if not answer.startswith(f"HTTP/1.1 {status} ".encode()):
            raise BadAnswer(answer[:500].decode(errors="replace"))
        yield key.data


class Client:
    """One connection with one request under way."""

    def __init__(self, port: int, requests: Iterator[bytes] = NO_REQUESTS) -> None:
        self._requests = requests
        self._received = b""
        self.socket = socket.create_connection((HOST, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due_at = 0.0  #: from when the latency counts, by perf_counter

    def send(self, due_at: float) -> None:
        self._received = b""
        self.due_at = due_at
        self.socket.sendall(next(self._requests))

    def call(self, request: bytes) -> bytes:
        """Send this request and return its answer."""
        self._received = b""
        self.socket.sendall(request)
        while (answer := self.receive()) is None:
            pass
        return answer

    def receive(self) -> bytes | None:
        """The answer once it is complete; None before. Raises BadAnswer."""
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
