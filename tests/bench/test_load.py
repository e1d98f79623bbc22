"""The load generator counts the time that a stalled server makes requests wait."""

import socketserver
import threading
import time
from collections.abc import Iterator
from itertools import repeat

import pytest

from bench.support.load import BadAnswer, drive, drive_at_rate, get
from embedded.ports import HOST

STALL_S = 0.5
REQUEST = get("/", "token")


class Server(socketserver.ThreadingTCPServer):
    """Answers everything, but nothing in the half second that begins with `stall`."""

    daemon_threads = True
    stalled_until = 0.0
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

    def stall(self) -> None:
        self.stalled_until = time.monotonic() + STALL_S


class Handler(socketserver.BaseRequestHandler):
    server: Server

    def handle(self) -> None:
        while self.request.recv(65_536):
            time.sleep(max(0.0, self.server.stalled_until - time.monotonic()))
            self.request.sendall(self.server.answer)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server((HOST, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def port_of(server: Server) -> int:
    return int(server.server_address[1])


def test_an_open_loop_counts_latency_from_the_scheduled_moment(server: Server) -> None:
    """The stall delays every request that is due in it, not just the one that one connection has under way."""
    threading.Timer(0.2, server.stall).start()

    load = drive_at_rate(port_of(server), repeat(REQUEST), per_s=100, seconds=1.5, status=200, connections=1)

    late = [latency_ms for latency_ms in load.latencies_ms if latency_ms > 100]
    assert load.requests == 150
    assert len(late) > 20
    assert max(late) > 400


def test_a_closed_loop_hides_the_stall_from_all_but_one_request_of_each_connection(server: Server) -> None:
    threading.Timer(0.2, server.stall).start()

    load = drive(port_of(server), repeat(REQUEST), seconds=1.0, status=200, connections=2)

    assert len([latency_ms for latency_ms in load.latencies_ms if latency_ms > 400]) == 2


def test_an_answer_with_another_status_ends_the_run(server: Server) -> None:
    server.answer = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"

    with pytest.raises(BadAnswer, match="503"):
        drive_at_rate(port_of(server), repeat(REQUEST), per_s=100, seconds=0.1, status=200)
