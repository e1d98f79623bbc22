"""Loopback ports: free ones, and the same ones again after a restart."""

import json
import os
import random
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

import psutil

from embedded.secret_file import write_private

HOST = "127.0.0.1"

# Below those that systems hand to outgoing connections, so a port is still free at the next start.
LASTING_PORTS = range(20_000, 32_000)

# A proxy of the environment has no business with loopback.
_direct = build_opener(ProxyHandler({}))


class PortUnusable(Exception):
    """The port that was asked for is taken, or is no port. The message is one line."""


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, which ignores TIME_WAIT
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def answers(url: str) -> Callable[[], bool]:
    """A probe that is true once the URL answers 200."""

    def probe() -> bool:
        try:
            with _direct.open(url, timeout=3) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    return probe


#: What people know by heart or type into a CSMS's settings. The other parts take any free port.
USUAL_PORTS = {"csms": 9000, "flower": 5555}


class Ports:
    """One port per name: from the environment (`CSMS_PORT`), else the one of last time, else the usual one, else a free one.

    The one of last time comes before the usual one, because a charger keeps dialling the address that it was created with.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def pick(self, name: str) -> int:
        """Raises PortUnusable for a port of the environment that cannot be had."""
        variable = f"{name.upper()}_PORT"
        wanted = os.environ.get(variable)
        return claim(variable, wanted) if wanted else self._lasting(name)

    def _lasting(self, name: str) -> int:
        port = self._known.get(name) or USUAL_PORTS.get(name)
        if port is None or not is_free(port):
            others = set(self._known.values())
            port = next(port for port in _shuffled(LASTING_PORTS) if port not in others and is_free(port))
        if port != self._known.get(name):
            self._known[name] = port
            write_private(self._file, json.dumps(self._known, indent=1))
        return port


def claim(variable: str, value: str) -> int:
    """The port that the variable names. Raises PortUnusable."""
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 65_536):
        raise PortUnusable(f"{variable}={value} is not a port: use a number from 1 to 65535")
    port = int(value)
    if not is_free(port):
        raise PortUnusable(
            f"port {port} is taken{_by_whom(port)}: stop that, or choose another one with {variable}"
        )
    return port


def _by_whom(port: int) -> str:
    """The process that listens there, where the system tells us."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _shuffled(ports: range) -> list[int]:
    return random.sample(ports, len(ports))
