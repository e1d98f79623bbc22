"""python -m embedded.redis_server --port PORT: fakeredis on loopback, fit to carry a Celery queue."""

import argparse
import signal
import sys
from importlib.util import find_spec
from types import FrameType

from fakeredis._clients._tcp_server import TCPFakeRequestHandler, TcpFakeServer

from embedded.ports import HOST


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    if find_spec("lupa") is None:
        sys.exit("the package lupa is not installed: without Lua scripts a Celery worker dies")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    # Small answers would wait for a delayed acknowledgement, 40 ms each: 11 tasks per second instead of 500.
    TCPFakeRequestHandler.disable_nagle_algorithm = True
    try:
        server = TcpFakeServer((HOST, port))
    except OSError as error:
        sys.exit(f"{HOST}:{port}: {error.strerror}")
    server.daemon_threads = True
    server.serve_forever()


def end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
