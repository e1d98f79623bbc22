"""Runs fakeredis on loopback for a Celery queue: python -m embedded.redis_server --port PORT --password-file FILE."""

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
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    options = parser.parse_args()
    port = options.port
    if find_spec("lupa") is None:
        sys.exit("the package lupa is not installed: without Lua scripts a Celery worker dies")
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    password = options.password_file.read_bytes().strip()
    try:
        server = fake_server((HOST, port), password)
    except OSError as error:
        sys.exit(f"{HOST}:{port}: {error.strerror}")
    server.serve_forever()


def fake_server(address: tuple[str, int], password: bytes) -> TcpFakeServer:
    """A server that listens on the address. Raises OSError."""
    server = TcpFakeServer(address)
    PasswordHandler.password = password
    server.RequestHandlerClass = PasswordHandler  # its constructor takes no handler
    server.daemon_threads = True
    return server


class PasswordHandler(TCPFakeRequestHandler):
    """Refuses all commands before AUTH, or HELLO with AUTH. fakeredis itself has no `requirepass`."""

    password: bytes
    # With Nagle's algorithm each small answer waits 40 ms for an acknowledgement: 11 tasks per second instead of 500.
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._socket = cast(Any, self.current_client.get_socket())
        self._process = self._socket._process_command
        self._socket._process_command = self._authenticate

    def _authenticate(self, fields: list[bytes]) -> None:
        name = fields[0].upper() if fields else b""
        words = [field.upper() for field in fields]
        if name == b"AUTH" and len(fields) in {2, 3}:
            if self._check(fields[-1]):
                self._socket.put_response(b"OK")
        elif name == b"HELLO" and b"AUTH" in words[:-2]:
            at = words.index(b"AUTH")
            if self._check(fields[at + 2]):
                self._process(fields[:at] + fields[at + 3 :])
        else:
            self._socket.put_response(SimpleError(NO_AUTH))

    def _check(self, given: bytes) -> bool:
        is_right = hmac.compare_digest(given, self.password)
        if is_right:
            self._socket._process_command = self._process
        else:
            self._socket.put_response(SimpleError(WRONG_PASSWORD))
        return is_right


def end(_number: int, _frame: FrameType | None) -> None:
    """End the process with code 0."""
    raise SystemExit(0)


if __name__ == "__main__":
    main()
