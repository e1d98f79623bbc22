"""Runs the real servers and our processes on loopback, in a temporary folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil
import redis
from celery import Celery
from cryptography.fernet import Fernet
from sqlalchemy import make_url, text

from embedded.ports import HOST, answers, free_port
from embedded.postgres import prepare_postgres
from embedded.process import Program, running
from embedded.redis import prepare_redis
from shared.auth.control_tokens import ControlTokens
from shared.auth.tokens import make_token
from shared.database.engine import make_engine
from shared.database.migrate import migrate
from shared.settings import TokenSettings

ORGANIZATION = "bench"
WORKER_CONCURRENCY = 32  # the default of shared/startup/environment.py
JWT_SECRET = "measured-with-a-secret-of-a-decent-length-0123456789"
CONTROL_SECRET = "connected-with-a-secret-of-a-decent-length-9876543210"

#: For parts that measure the API alone: one organization has all chargers, and no worker finishes their commands.
NO_QUOTAS = {
    "CHARGERS_PER_ORGANIZATION": "100000000",
    "OPEN_COMMANDS_PER_ORGANIZATION": "100000000",
    "OPEN_ACTIONS_PER_ORGANIZATION": "100000000",
}


@dataclass(frozen=True, slots=True)
class Stores:
    """PostgreSQL, whose commits wait for the disk as in production, and Redis."""

    postgres_url: str
    redis_url: str
    folder: Path
    processes: dict[str, psutil.Process]

    def new_database(self, name: str) -> str:
        """Create a database with our schema. Returns its URL."""
        server = make_engine(self.postgres_url)
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        server.dispose()
        url = make_url(self.postgres_url).set(database=name).render_as_string(hide_password=False)
        migrate(url)
        return url

    def empty_queues(self) -> None:
        with redis.Redis.from_url(self.redis_url) as client:
            client.flushall()


@contextmanager
def running_stores() -> Iterator[Stores]:
    with TemporaryDirectory(prefix="chargehand-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        postgres = prepare_postgres(folder, free_port(), durable=True)
        broker = prepare_redis(folder, free_port())
        with (
            running_process(postgres.program, folder) as postgres_process,
            running_process(broker.program, folder) as redis_process,
        ):
            processes = {"PostgreSQL": postgres_process, "Redis": redis_process}
            yield Stores(postgres.url, broker.url, folder, processes)


@contextmanager
def running_process(program: Program, folder: Path) -> Iterator[psutil.Process]:
    """The program, ready, and its process to measure."""
    before = set(psutil.Process().children())
    with running(program, folder / "logs" / f"{program.name}.log", within_s=60):
        (process,) = set(psutil.Process().children()) - before
        yield process


def api(database_url: str, redis_url: str, port: int, **settings: str) -> Program:
    """Our API as it is served in production."""
    return Program(
        name=f"api-{port}",
        argv=(sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
        is_ready=answers(f"http://{HOST}:{port}/ready"),
        env=environment(database_url, redis_url) | NO_QUOTAS | {"BIND": f"{HOST}:{port}"} | settings,
    )


def link(database_url: str, redis_url: str, port: int) -> Program:
    """A process of the control link. Chargers connect to ws://HOST:port/control with `control_token`."""
    control = {"LINK_BIND": f"{HOST}:{port}", "CONTROL_SECRET": CONTROL_SECRET}
    return Program(
        name=f"link-{port}",
        argv=(sys.executable, "-m", "link"),
        is_ready=answers(f"http://{HOST}:{port}/health"),
        env=environment(database_url, redis_url) | control,
    )


def control_environment(port: int) -> dict[str, str]:
    """The variables with which all processes use the link on this port, and store secrets."""
    return {
        "LINK_BIND": f"{HOST}:{port}",
        "CONTROL_URL": f"ws://{HOST}:{port}/control",
        "CONTROL_SECRET": CONTROL_SECRET,
        "ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    }


def control_token(process_id: str) -> str:
    """The first token of a process of chargers, for `link`."""
    return ControlTokens([CONTROL_SECRET]).first_token(process_id)


def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """The variables that every process of ours needs, as in production but without a rate limit."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "CHARGEHAND_ENV": "production",
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "JWT_SECRET": JWT_SECRET,
        "RATE_LIMIT": "",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
    }


def token(organization: str = ORGANIZATION) -> str:
    """A user's token for the organization; by default the one that owns the chargers of bench.support.fleet."""
    settings = TokenSettings(
        algorithm="HS256",
        secret=JWT_SECRET,
        public_key="",
        jwks_url="",
        issuer="",
        audience="",
        max_age_s=0,
    )
    return make_token(settings, subject="bench", organization_id=organization, role="user", ttl_s=86_400)


@dataclass(frozen=True, slots=True)
class StubEcs:
    """A running bench/support/stub_ecs.py."""

    url: str
    process: psutil.Process

    def calls(self) -> list[tuple[str, str, float]]:
        """Operation, service and time of arrival, in seconds of the monotonic clock, of each call."""
        return [(operation, service, at) for operation, service, at in httpx.get(self.url).json()]

    def clear_calls(self) -> None:
        httpx.delete(self.url)


@contextmanager
def running_stub(folder: Path, *, latency_ms: float) -> Iterator[StubEcs]:
    port = free_port()
    url = f"http://{HOST}:{port}/"
    argv = (
        sys.executable,
        "-m",
        "bench.support.stub_ecs",
        "--port",
        str(port),
        "--latency-ms",
        str(latency_ms),
    )
    with running_process(Program("stub-ecs", argv, is_ready=answers(url)), folder) as process:
        yield StubEcs(url, process)


def worker(
    name: str,
    database_url: str,
    redis_url: str,
    ecs_url: str,
    *,
    pool: str = "",
    threads: int = WORKER_CONCURRENCY,
    queues: str = "lifecycle",
) -> Program:
    """Our worker with the rate budget off; by default with the pool that ships, for starts and stops only."""
    options = f"-c {threads} -Q {queues} --without-gossip --without-mingle -n {name}@%h"
    if pool:
        options += f" -P {pool}"
    env = environment(database_url, redis_url) | {
        "AWS_ENDPOINT_URL": ecs_url,
        "ECS_BUDGET_SHARE": "0",
        "WORKER_CONCURRENCY": str(threads),
    }
    return Program(
        name=name,
        argv=(sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", *options.split()),
        env=env,
        is_ready=lambda: _consumes(redis_url, name),
        stop_within_s=20,
    )


def beat(database_url: str, redis_url: str) -> Program:
    """The scheduler of the periodic tasks."""
    return Program(
        name="beat",
        argv=(sys.executable, "-m", "celery", "-A", "worker.celery_app", "beat"),
        env=environment(database_url, redis_url),
    )


def _consumes(redis_url: str, name: str) -> bool:
    """Whether the worker answers a ping, which it does once it receives messages."""
    with Celery(broker=redis_url) as app:
        return any(node.startswith(f"{name}@") for node in app.control.inspect(timeout=0.3).ping() or {})
