"""Loopback ports: free ones, and the same ones again after a restart."""

import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

HOST = "127.0.0.1"


class PortTaken(Exception):
    """The port that was asked for is in use."""


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    return port


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def accepts(port: int) -> bool:
    """Whether somebody listens there."""
    try:
        with socket.create_connection((HOST, port), timeout=1):
            return True
    except OSError:
        return False


def answers(url: str) -> Callable[[], bool]:
    """A probe that is true once the URL answers 200."""

    def probe() -> bool:
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310 - our own http:// URL
                return bool(answer.status == 200)
        except OSError:
            return False

    return probe


class Ports:
    """One port per name: from the environment (`CSMS_PORT`), else the one of last time, else a free one."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}

    def pick(self, name: str) -> int:
        """Raises PortTaken for a set port that is in use, ValueError for one that is no port."""
        variable = f"{name.upper()}_PORT"
        wanted = os.environ.get(variable, "")
        if wanted:
            return self.claim(variable, wanted)
        port = self._known.get(name, 0)
        if not port or not is_free(port):
            port = free_port()
        self._known[name] = port
        self._file.write_text(json.dumps(self._known, indent=1))
        return port

    @staticmethod
    def claim(variable: str, value: str) -> int:
        """The port that a variable names. Raises PortTaken or ValueError."""
        if not value.isdecimal() or not 0 < int(value) < 65_536:
            raise ValueError(f"{variable}={value} is not a port; use 1 to 65535")
        if not is_free(int(value)):
            raise PortTaken(f"port {value} is taken; stop what listens on it, or set {variable} to another")
        return int(value)
