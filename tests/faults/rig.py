"""Run every component of the product as a process that tests kill, freeze and start again."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import psutil
import psycopg
import redis
from botocore.config import Config
from sqlalchemy import Engine, func, make_url, select

from embedded.ecs.process import EcsProcess
from embedded.ports import HOST, answers, free_port
from embedded.postgres import prepare_postgres
from embedded.process import Program, end, last_lines, spawn
from embedded.redis import prepare_redis
from shared.auth.tokens import make_token
from shared.database.engine import make_engine
from shared.database.migrate import migrate
from shared.models import Command
from shared.queues import Queue
from shared.settings import TokenSettings
from shared.vocabulary import FINAL
from tests.support.environment import JWT_SECRET
from tests.support.http import PLAIN_HTTP
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from mypy_boto3_ecs import ECSClient

ORGANIZATION = "acme"
CLUSTER = "chargehand"
CHARGERS = 50
WORKERS = 2
THREADS = 32  # of each worker
GUNICORN = ("gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app")
CELERY = ("celery", "-A", "worker.celery_app")
TASK = ("sleep", "1000000")  # a charger that costs nothing
QUICK = ("--steady-after-s", "0.2", "--first-retry-s", "0.2")  # ECS, but sooner
STARTS_WITHIN_S = 60
TOKENS = TokenSettings("HS256", JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0)


class Component:
    """One process that can be lost and replaced."""

    def __init__(self, program: Program, folder: Path) -> None:
        self.program = program
        self.log = folder / "logs" / f"{program.name}.log"
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._popen is not None, f"{self.program.name} was not started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    def start(self) -> None:
        """Must be called by the main thread: on Linux a process ends with the thread that started it."""
        self._popen = spawn(self.program, self.log)

    def wait_until_ready(self) -> None:
        try:
            wait_until(self.program.is_ready, STARTS_WITHIN_S, f"{self.program.name} is ready")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{last_lines(self.log)}") from error

    def kill(self) -> None:
        """Kill the process and its children, as the kernel does when memory runs out."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def stop(self) -> None:
        """Stop the process in order, as a deployment does."""
        if self.alive:
            self.thaw()
            end({psutil.Process(self.pid): self.program.stop_signal}, self.program.stop_within_s)
        self._reap()

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def freeze(self) -> None:
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def family(self) -> list[psutil.Process]:
        try:
            process = psutil.Process(self.pid)
            return [process, *process.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def has_processes(self, count: int) -> bool:
        return len(self.family()) == count

    def _reap(self) -> None:
        if self._popen is not None:
            self._popen.wait(20)


@dataclass(frozen=True)
class Service:
    """A charger's ECS service."""

    desired_count: int
    running_count: int


class Rig:
    """The product on this machine. Made ready by `running_rig`."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        postgres = prepare_postgres(folder, free_port())  # durable: a 202 is on the disk
        broker = prepare_redis(folder, free_port())
        self.postgres = Component(postgres.program, folder)
        self.redis = Component(broker.program, folder)
        self.database_url, self.redis_url = postgres.url, broker.url
        self.ecs = EcsProcess(folder / "ecs", task_command=TASK, arguments=QUICK)
        for component in (self.postgres, self.redis):
            self._start(component, stack).wait_until_ready()
        self.ecs.start()
        stack.callback(self._end_ecs)

        #: The lines between the product and its stores. The tests' own connections are direct.
        self.api_to_redis = self._proxy(broker.url, stack)
        self.api_to_postgres = self._proxy(postgres.url, stack)
        self.workers_to_redis = self._proxy(broker.url, stack)
        self.workers_to_postgres = self._proxy(postgres.url, stack)

        migrate(self.database_url)
        self.api_url = f"http://{HOST}:{free_port()}"
        self.api = self._start(self._component("api", *GUNICORN), stack)
        self.workers = [self._start(self.worker(number), stack) for number in range(1, WORKERS + 1)]
        self.beat = self._start(self._component("beat", *CELERY, "beat"), stack)
        self.api.wait_until_ready()
        self.engine: Engine = make_engine(self.database_url, pool_size=5)
        stack.callback(self.engine.dispose)
        self.broker = redis.Redis.from_url(self.redis_url, socket_timeout=2)
        stack.callback(self.broker.close)
        self.boto: ECSClient = boto3.session.Session().client(
            "ecs",
            endpoint_url=self.ecs.endpoint_url,
            region_name="us-east-1",
            aws_access_key_id="tests",
            aws_secret_access_key="tests",
            config=Config(retries={"total_max_attempts": 4}),
        )
        self._token = make_token(
            TOKENS, subject="tester", organization_id=ORGANIZATION, role="user", ttl_s=7200
        )
        self.chargers: list[str] = []

    def client(self, **options: Any) -> httpx.Client:
        """A client of the organization that owns the chargers."""
        headers = {"Authorization": f"Bearer {self._token}"}
        return httpx.Client(base_url=self.api_url, headers=headers, **PLAIN_HTTP, **options)

    def mend(self) -> None:
        """End every fault: all components run, all lines are open, ECS has no rules."""
        self.ecs.set_faults()
        for line in self.lines:
            line.heal()
        for component in self.components:
            component.thaw()
            if not component.alive:
                component.start()
        for component in (self.postgres, self.redis, self.api):
            component.wait_until_ready()

    @property
    def components(self) -> list[Component]:
        """In the order in which they need each other."""
        return [self.postgres, self.redis, self.api, *self.workers, self.beat]

    @property
    def lines(self) -> list[TcpProxy]:
        return [self.api_to_redis, self.api_to_postgres, self.workers_to_redis, self.workers_to_postgres]

    def restart_dead(self) -> None:
        """Start components that have ended, as a supervisor does."""
        for component in self.components:
            if not component.alive:
                component.start()

    def are_final(self, command_ids: Collection[str | None]) -> bool:
        """Whether all these commands are final."""
        statement = select(func.count()).select_from(Command)
        with self.engine.connect() as connection:
            found = connection.scalar(statement.where(Command.id.in_(command_ids), Command.status.in_(FINAL)))
        return found == len(set(command_ids))

    @contextmanager
    def crowd(self) -> Iterator[Callable[[], None]]:
        """Yields a function that ends every connection to PostgreSQL and takes them all."""
        url = make_url(self.database_url).set(drivername="postgresql").render_as_string(hide_password=False)
        with ExitStack() as stack:
            first = stack.enter_context(psycopg.connect(url, autocommit=True))

            def squeeze() -> None:
                first.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'chargehand'"
                )
                with contextlib.suppress(psycopg.OperationalError):
                    while True:
                        stack.enter_context(psycopg.connect(url))

            yield squeeze

    def start_over(self) -> None:
        """Start the workers again without a queue, so that a fault that did not converge cannot spoil the next one."""
        self.broker.flushall()
        for component in (*self.workers, self.beat):
            component.kill()
            component.start()

    def create_chargers(self) -> None:
        """All of them, READY."""
        with self.client(timeout=30) as client:
            for number in range(CHARGERS):
                answer = client.post("/ocpp/chargers", json=charger(number))
                assert answer.status_code == 202, answer.text
                self.chargers.append(answer.json()["charger_id"])
            wait_until(lambda: all(map(client_sees_ready(client), self.chargers)), 120, "chargers are READY")

    def services(self) -> dict[str, Service]:
        """Every charger's ACTIVE service, by charger id."""
        found = {}
        for start in range(0, len(self.chargers), 10):
            answer = self.boto.describe_services(cluster=CLUSTER, services=self.chargers[start : start + 10])
            for service in answer["services"]:
                if service["status"] == "ACTIVE":
                    found[service["serviceName"]] = Service(
                        service["desiredCount"], service["runningCount"] + service["pendingCount"]
                    )
        return found

    def backlog(self) -> int:
        """How many messages wait on the queues."""
        return sum(self.broker.llen(queue.value) for queue in Queue)

    def _start(self, component: Component, stack: ExitStack) -> Component:
        component.start()
        stack.callback(component.kill)  # a rig leaves nothing behind
        return component

    def _end_ecs(self) -> None:
        if self.ecs.is_running:
            self.ecs.stop()  # its tasks end with it

    def _proxy(self, url: str, stack: ExitStack) -> TcpProxy:
        port = make_url(url).port
        assert port is not None
        proxy = TcpProxy(port)
        stack.callback(proxy.close)
        return proxy

    def worker(self, number: int, **settings: str) -> Component:
        """Another worker, not started yet."""
        return self._component(
            f"worker-{number}",
            *(*CELERY, "worker", "-c", str(THREADS), "-Q", ",".join(Queue)),
            *("-n", f"worker-{number}@%h", "--without-gossip", "--without-mingle"),
            **settings,
        )

    def _component(self, name: str, *argv: str, **settings: str) -> Component:
        api = name == "api"
        redis_line = self.api_to_redis if api else self.workers_to_redis
        postgres_line = self.api_to_postgres if api else self.workers_to_postgres
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "CHARGEHAND_ENV": "embedded",
            "BIND": self.api_url.removeprefix("http://"),
            "WEB_CONCURRENCY": "2",
            "WORKER_CONCURRENCY": str(THREADS),
            "DATABASE_URL": _through(self.database_url, postgres_line),
            "REDIS_URL": _through(self.redis_url, redis_line),
            "JWT_SECRET": JWT_SECRET,
            "AWS_ENDPOINT_URL": self.ecs.endpoint_url,
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "tests",
            "AWS_SECRET_ACCESS_KEY": "tests",
            "AWS_EC2_METADATA_DISABLED": "true",
            "ECS_CLUSTER": CLUSTER,
            "LOG_FORMAT": "json",
            "PYTHONUNBUFFERED": "1",
            "TMPDIR": str(self.folder),
            **settings,
        }
        program = Program(name, (sys.executable, "-m", *argv), env=environment)
        if api:
            program = replace(program, is_ready=answers(f"{self.api_url}/ready"))
        return Component(program, self.folder)


@contextmanager
def running_rig(folder: Path) -> Iterator[Rig]:
    """The whole product, with its chargers READY. Ends every process at the end."""
    with ExitStack() as stack:
        rig = Rig(folder, stack)
        rig.create_chargers()
        yield rig


def charger(number: int) -> dict[str, str]:
    """The body of the request that creates the charger."""
    return {
        "identity": f"CP-{number:03}",
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ws_url": "ws://localhost:9/ocpp",
    }


def client_sees_ready(client: httpx.Client) -> Callable[[str], bool]:
    def ready(charger_id: str) -> bool:
        return bool(client.get(f"/ocpp/chargers/{charger_id}/status").json()["status"] == "READY")

    return ready


def _through(url: str, line: TcpProxy) -> str:
    """The same server, by way of the proxy."""
    return url.replace(f":{make_url(url).port}/", f":{line.port}/")
