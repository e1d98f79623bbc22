"""Finds free loopback ports, and picks the same ports again after a restart."""

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

# Below the ports of outgoing connections, so that a port is still free at the next start.
LASTING_PORTS = range(20_000, 32_000)

# Does not use the environment's proxies, because all addresses are on loopback.
direct = build_opener(ProxyHandler({}))


class PortUnusable(Exception):
    """The given port is taken, or is not a port. The message is one line."""


def free_port() -> int:
    """A port on which nothing listens now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    """Whether this process could listen on the port."""
    return why_not(port) is None


def why_not(port: int) -> OSError | None:
    """The error of listening on the port; None if it is free. EADDRINUSE is one of several reasons."""
    with socket.socket() as probe:
        # As servers do, so that connections in TIME_WAIT do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def answers(url: str) -> Callable[[], bool]:
    """A function that returns whether the URL answers 200."""
    answer = why_no_answer(url)
    return lambda: not answer()


def why_no_answer(url: str) -> Callable[[], str]:
    """A function that returns what the URL answers instead of 200; empty for 200."""

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


#: Ports that people type, for example into the settings of a CSMS. The other programs take any free port.
USUAL_PORTS = {"csms": 9000, "flower": 5555}


class Ports:
    """Picks a port per name: from the environment (`CSMS_PORT`), else the previous one, else the usual one, else a free one.

    The previous port goes before the usual one, because a charger keeps using the address that it was created with.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def pick(self, name: str) -> int:
        """The port of the name, stored for the next start. Raises PortUnusable."""
        variable = f"{name.upper()}_PORT"
        given = os.environ.get(variable)
        return claim(variable, given) if given else self._lasting(name)

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
    """Raises PortUnusable for two variables with the same port, which is free until one of them is used."""
    found: dict[str, str] = {}
    for variable in (
        "PORT",
        *(f"{name}_PORT" for name in ("CSMS", "FLOWER", "ECS", "LINK", "POSTGRES", "REDIS")),
    ):
        port = environment.get(variable)
        if port and port in found:
            raise PortUnusable(
                f"{found[port]} and {variable} are both {port}: choose another port for one of them"
            )
        if port:
            found[port] = variable


def claim(variable: str, value: str) -> int:
    """The port in the variable's value. Raises PortUnusable if this process cannot listen on it."""
    if not (value.isascii() and value.isdecimal() and 0 < int(value) < 65_536):
        raise PortUnusable(f"{variable}={value} is not a port: use a number from 1 to 65535")
    port = int(value)
    error = why_not(port)
    if error is None:
        return port
    if error.errno == errno.EADDRINUSE:
        raise PortUnusable(
            f"port {port} is taken{_by_process(port)}: stop that, or choose another one with {variable}"
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        raise PortUnusable(
            f"port {port} is not open to this user ({error.strerror}): choose one above 1023 with {variable}"
        )
    raise PortUnusable(f"port {port} of {HOST} cannot be used: {error.strerror}")


def _first_free(ports: Iterable[int]) -> int:
    """Skips ports that are taken. Raises PortUnusable for any other error, which would be the same for every port."""
    for port in ports:
        error = why_not(port)
        if error is None:
            return port
        if error.errno != errno.EADDRINUSE:
            raise PortUnusable(f"port {port} of {HOST} cannot be used: {error.strerror}")
    raise PortUnusable(f"all ports from {LASTING_PORTS.start} to {LASTING_PORTS.stop - 1} are taken")


def _by_process(port: int) -> str:
    """The process that listens on the port, if the system shows it."""
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.laddr and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:
        pass
    return ""


def _shuffled(ports: range) -> list[int]:
    return random.sample(ports, len(ports))
