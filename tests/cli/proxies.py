"""HTTP servers between the command line and the API, which do what networks and rate limits do."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.support.http import PLAIN_HTTP


@contextmanager
def served(proxy: "type[Proxy]", api: str) -> Iterator[str]:
    """The URL of such a proxy, with counters of its own."""
    mine = type(proxy.__name__, (proxy,), {"api": api})
    with ThreadingHTTPServer(("127.0.0.1", 0), mine) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


class Proxy(BaseHTTPRequestHandler):
    """Hands requests on to the API."""

    protocol_version = "HTTP/1.1"
    api = ""

    def do_GET(self) -> None:
        self.hand_on()

    def do_POST(self) -> None:
        self.hand_on()

    def hand_on(self, *, lost: bool = False) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
        answer = httpx.request(
            self.command, self.api + self.path, content=body, headers=headers, timeout=30, **PLAIN_HTTP
        )
        if lost:
            self.close_connection = True
        else:
            self.answer(answer.status_code, answer.content, {"Content-Type": "application/json"})

    def refuse(self, status: int, headers: dict[str, str]) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(status, b"not now", headers)

    def answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class Unlucky(Proxy):
    """Loses the answer to the first POST, and is away at the next try."""

    posts = 0

    def do_POST(self) -> None:
        kind = type(self)
        kind.posts += 1
        if kind.posts == 2:
            self.refuse(503, {"Retry-After": "0"})
        else:
            self.hand_on(lost=kind.posts == 1)


class Limited(Proxy):
    """Refuses the first requests for a rate limit."""

    refusals = 8

    def do_GET(self) -> None:
        self.limit()

    def do_POST(self) -> None:
        self.limit()

    def limit(self) -> None:
        kind = type(self)
        kind.refusals -= 1
        if kind.refusals >= 0:
            self.refuse(429, {"Retry-After": "0"})
        else:
            self.hand_on()


class Closed(Limited):
    """Refuses all of them."""

    refusals = 1_000_000
