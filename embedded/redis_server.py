"""python -m embedded.redis_server --port PORT --password-file FILE: fakeredis on loopback, fit to carry a Celery queue."""

import argparse
import hmac
import signal
import sys
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any, cast

from fakeredis._clients._tcp_server import TCPFakeRequestHandler, TcpFakeServer
from fakeredis._helpers import SimpleError

from embedded.ports import HOST

NO_AUTH = "NOAUTH Authentication required."
WRONG_PASSWORD = "WRONGPASS invalid username-password pair or user is disabled."  # noqa: S105 - what Redis says


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    options = parser.parse_args()
    port = options.port
    if find_spec("lupa") is None:
        sys.exit("the package lupa is not installed: without Lua scripts a Celery worker dies")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    # Small answers would wait for a delayed acknowledgement, 40 ms each: 11 tasks per second instead of 500.
    TCPFakeRequestHandler.disable_nagle_algorithm = True
    AskingForPassword.password = options.password_file.read_bytes().strip()
    try:
        server = TcpFakeServer((HOST, port))
    except OSError as error:
        sys.exit(f"{HOST}:{port}: {error.strerror}")
    server.RequestHandlerClass = AskingForPassword  # its constructor takes no other than its own
    server.daemon_threads = True
    server.serve_forever()


class AskingForPassword(TCPFakeRequestHandler):
    """Lets a connection do nothing before its AUTH, or HELLO with AUTH: fakeredis itself has no `requirepass`."""

    password: bytes

    def setup(self) -> None:
        super().setup()
        self._socket = cast(Any, self.current_client.get_socket())
        self._serve = self._socket._process_command
        self._socket._process_command = self._first_commands

    def _first_commands(self, fields: list[bytes]) -> None:
        name = fields[0].upper() if fields else b""
        words = [field.upper() for field in fields]
        if name == b"AUTH" and len(fields) in {2, 3}:
            if self._takes(fields[-1]):
                self._socket.put_response(b"OK")
        elif name == b"HELLO" and b"AUTH" in words[:-2]:
            at = words.index(b"AUTH")
            if self._takes(fields[at + 2]):
                self._serve(fields[:at] + fields[at + 3 :])
        else:
            self._socket.put_response(SimpleError(NO_AUTH))

    def _takes(self, given: bytes) -> bool:
        right = hmac.compare_digest(given, self.password)
        if right:
            self._socket._process_command = self._serve
        else:
            self._socket.put_response(SimpleError(WRONG_PASSWORD))
        return right


def end(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


if __name__ == "__main__":
    main()
