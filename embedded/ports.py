"""Loopback ports: free ones, and the same ones again after a restart."""

import errno
import json
import os
import random
import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

import psutil

from embedded.secret_file import write_private

HOST = "127.0.0.1"

# Below those that systems hand to outgoing connections, so a port is still free at the next start.
LASTING_PORTS = range(20_000, 32_000)

# A proxy of the environment has no business with loopback.
direct = build_opener(ProxyHandler({}))


class PortUnusable(Exception):
    """The port that was asked for is taken, or is no port. The message is one line."""


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    """Whether we could listen there."""
    return why_not(port) is None


def why_not(port: int) -> OSError | None:
    """What keeps us from listening there. EADDRINUSE is one of several reasons."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do, which ignores TIME_WAIT
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def answers(url: str) -> Callable[[], bool]:
    """A probe that is true once the URL answers 200."""
    answer = why_no_answer(url)
    return lambda: not answer()


def why_no_answer(url: str) -> Callable[[], str]:
    """A probe that says what the URL answers instead of 200."""

    def probe() -> str:
        try:
            with direct.open(url, timeout=3) as answer:
                return "" if answer.status == 200 else f"HTTP {answer.status}"
        except HTTPError as error:
            with error:
                return f"HTTP {error.code} {error.read(1_000).decode(errors='replace')}"
        except (URLError, OSError) as error:
            return str(error)

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
        """Raises PortUnusable for a port of the environment that cannot be had, or where there is none at all."""
        variable = f"{name.upper()}_PORT"
        wanted = os.environ.get(variable)
        return claim(variable, wanted) if wanted else self._lasting(name)

    def _lasting(self, name: str) -> int:
        port = self._known.get(name) or USUAL_PORTS.get(name)
        if port is None or not is_free(port):
            others = set(self._known.values())
            port = _first_free(port for port in _shuffled(LASTING_PORTS) if port not in others)
        if port != self._known.get(name):
            self._known[name] = port
            write_private(self._file, json.dumps(self._known, indent=1))
        return port


def check_that_ports_differ(environment: Mapping[str, str]) -> None:
    """Raises PortUnusable for two variables that name the same port: each would be free until the other is used."""
    found: dict[str, str] = {}
    for variable in ("PORT", *(f"{name}_PORT" for name in ("CSMS", "FLOWER", "ECS", "POSTGRES", "REDIS"))):
        port = environment.get(variable)
        if port and port in found:
            raise PortUnusable(
                f"{found[port]} and {variable} are both {port}: choose another port for one of them"
            )
        if port:
            found[port] = variable


def claim(variable: str, value: str) -> int:
    """The port that the variable names. Raises PortUnusable."""
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 65_536):
        raise PortUnusable(f"{variable}={value} is not a port: use a number from 1 to 65535")
    port = int(value)
    error = why_not(port)
    if error is None:
        return port
    if error.errno == errno.EADDRINUSE:
        raise PortUnusable(
            f"port {port} is taken{_by_whom(port)}: stop that, or choose another one with {variable}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        raise PortUnusable(
            f"port {port} is not open to this user ({error.strerror}): choose one above 1023 with {variable}"
        )
    raise PortUnusable(f"port {port} of {HOST} cannot be used: {error.strerror}")


def _first_free(ports: Iterable[int]) -> int:
    """Tries all of them while they are only taken. Any other reason is the same for every port."""
    for port in ports:
        error = why_not(port)
        if error is None:
            return port
        if error.errno != errno.EADDRINUSE:
            raise PortUnusable(f"port {port} of {HOST} cannot be used: {error.strerror}")
    raise PortUnusable(f"all ports from {LASTING_PORTS.start} to {LASTING_PORTS.stop - 1} are taken")


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
