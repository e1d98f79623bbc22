"""The programs of a stack: their command lines, their order, and when they are ready."""

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from embedded.ports import HOST, answers, why_no_answer
from embedded.process import Program, has_started
from embedded.secret_file import ensure_secret
from embedded.stack.state_folder import FLOWER_PASSWORD_FILE

CLUSTER = "chargehand"
LOG_GROUP = "/chargehand/chargers"
FLOWER_USER = "chargehand"
FLOWER_MAX_TASKS = 10_000  # kept in Flower's memory; its default is 100,000

# A program uses programs of lower layers, and stops before them. The programs of a layer stop at the same time, so the
# layers' times to stop add up to less than 15 s. Chargers use the CSMS and the link, so these stop after the ECS.
STORES, SERVERS, ECS, SERVICES = range(4)


@dataclass(frozen=True)
class Addresses:
    """The URLs of a stack."""

    api: str
    flower: str
    csms: str
    ecs: str
    link: str  #: for chargers
    database: str
    redis: str


def store(program: Program) -> Program:
    """PostgreSQL or Redis, in its layer."""
    return replace(program, layer=STORES, stop_within_s=3)


def ecs(addresses: Addresses, folder: Path) -> Program:
    """The embedded ECS."""
    state = ("--state-dir", str(folder / "ecs"), "--cluster", CLUSTER, "--log-group", LOG_GROUP)
    return Program(
        name="ecs",
        argv=python("embedded.ecs", "--port", _port_of(addresses.ecs), *state),
        is_ready=answers(f"{addresses.ecs}/_chargehand/health"),
        why_not=why_no_answer(f"{addresses.ecs}/_chargehand/health"),
        cwd=folder,
        layer=ECS,
        stop_within_s=6,
    )


def csms(addresses: Addresses, folder: Path) -> Program:
    """The CSMS that accepts every charger."""
    port = _port_of(addresses.csms)
    return Program(
        name="csms",
        argv=python("embedded.csms", "--port", port),
        is_ready=answers(f"http://{HOST}:{port}/health"),
        why_not=why_no_answer(f"http://{HOST}:{port}/health"),
        cwd=folder,
        layer=SERVERS,
        stop_within_s=1,
    )


def link(addresses: Addresses, folder: Path) -> Program:
    """The control link, which the chargers connect to."""
    probe = f"http://{HOST}:{_port_of(addresses.link)}/health"
    return replace(_service("link", folder, ("link",), probe), layer=SERVERS, stop_within_s=1.5)


def migration(folder: Path) -> Program:
    """Brings the database to the newest schema, and ends."""
    return Program("migrate", python("chargehand", "migrate"), cwd=folder)


def services(addresses: Addresses, folder: Path, workers: int) -> Iterator[Program]:
    """The API, the workers, beat and Flower: the programs that run in production too."""
    celery = ("celery", "-A", "worker.celery_app")
    options = ("-Q", "lifecycle,provisioning,maintenance", "--without-gossip", "--without-mingle")
    yield _service(
        "api",
        folder,
        ("gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
        f"{addresses.api}/ready",
    )
    names = ["worker"] if workers == 1 else [f"worker{number}" for number in range(1, workers + 1)]
    for name in names:
        yield _service(name, folder, (*celery, "worker", *options, "-n", f"{name}@%h"))
    yield _service("beat", folder, (*celery, "beat"))
    listening = (f"--address={HOST}", f"--port={_port_of(addresses.flower)}")
    password = ensure_secret(folder / FLOWER_PASSWORD_FILE)
    yield replace(
        _service(
            "flower",
            folder,
            (*celery, "flower", *listening, f"--max-tasks={FLOWER_MAX_TASKS}"),
            f"{addresses.flower}/healthcheck",
        ),
        # The password is no argument, because every user can see those.
        env={**os.environ, "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"},
    )


def _service(name: str, folder: Path, argv: tuple[str, ...], probe: str | None = None) -> Program:
    """Ready when the URL `probe` answers 200, or, without one, when the process has run for a while."""
    return Program(
        name=name,
        argv=python(*argv),
        is_ready=answers(probe) if probe else has_started,
        why_not=why_no_answer(probe) if probe else str,
        cwd=folder,
        layer=SERVICES,
        stop_within_s=4,
    )


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """The command line that runs a module with this Python."""
    return (sys.executable, "-m", module, *arguments)


def _port_of(url: str) -> str:
    return str(urlsplit(url).port)
