"""The API under its production server, as a process of its own."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from embedded.ports import HOST, answers, free_port
from embedded.process import Program, running
from tests.support.environment import environment

COMMAND = (sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app")

SHORT_TIMEOUTS = tuple(
    "python:tests.support.short_timeouts_conf" if part.startswith("python:") else part for part in COMMAND
)


@contextmanager
def running_api(
    database_url: str, redis_url: str, folder: Path, *, command: tuple[str, ...] = COMMAND, **variables: str
) -> Iterator[str]:
    """gunicorn with the production configuration, answering. Yields its URL; logs to folder/api.log."""
    port = free_port()
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://{HOST}:{port}"
    program = Program(
        "api",
        command,
        is_ready=answers(f"{url}/health"),
        env={
            **os.environ,
            **environment(database_url, redis_url),
            "BIND": f"{HOST}:{port}",
            "TMPDIR": str(folder),
            **variables,
        },
        stop_within_s=20,
    )
    with running(program, folder / "api.log", within_s=90):
        yield url


def stop_server(url: str) -> None:
    """As `docker stop` does: the first process of the server."""
    bind = httpx.URL(url).netloc.decode()
    (server,) = (child for child in psutil.Process().children() if child.environ().get("BIND") == bind)
    server.send_signal(signal.SIGTERM)
