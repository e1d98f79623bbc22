"""The whole product with shared chargers and stores of its own, and ways to end its parts and to cut its hosts off."""

import os
import signal
import subprocess
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import Engine, text

from embedded.ports import HOST, free_port
from embedded.postgres import prepare_postgres
from embedded.process import Program, end, last_lines, spawn
from embedded.redis import prepare_redis
from shared.auth.tokens import make_token
from shared.database.engine import make_engine
from shared.database.migrate import migrate
from shared.settings import TokenSettings
from tests.support.environment import JWT_SECRET, environment
from tests.support.http import PLAIN_HTTP
from tests.support.proxy import TcpProxy
from tests.support.stack import (
    RememberingCsms,
    Session,
    Stack,
    api_program,
    beat_program,
    ecs_program,
    link_program,
    worker_program,
)
from tests.support.waiting import wait_until

ORGANIZATION = "acme"
LOCATION = {
    "name": "North",
    "address": "1",
    "city": "Hamburg",
    "country": "DE",
    "coordinates": {"latitude": 53.6, "longitude": 10.0},
}
TOKENS = TokenSettings("HS256", JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0)
ENDED_IN_ORDER = ("beat", "worker", "api", "ecs", "link", "redis", "postgres")
BOOT = text("""
    SELECT held.boot_id FROM control_sessions held JOIN hosts ON hosts.id = held.process_id
    WHERE hosts.deleted_at IS NULL
""")
IN_TRANSACTION = text("""
    SELECT count(*) FROM charger_memories
    WHERE charger_id = ANY(:ids) AND jsonb_path_exists(memory, '$.connectors[*].transaction ? (@ != null)')
""")


@dataclass
class Product:
    """The processes of the product, each of which can be ended and started again."""

    stack: Stack
    csms: RememberingCsms
    line: TcpProxy  #: between the hosts and the link
    engine: Engine
    client: httpx.Client  #: of the API, as a user of ORGANIZATION
    programs: dict[str, Program] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        log = self.stack.folder / "logs" / f"{name}.log"
        self._running[name] = spawn(self.programs[name], log)
        try:
            wait_until(self.programs[name].is_ready, within_s=60)
        except AssertionError as error:
            raise AssertionError(f"{name} did not start\n{last_lines(log)}") from error

    def kill(self, name: str) -> None:
        """With its children, as the kernel does when memory runs out."""
        process = psutil.Process(self._running[name].pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._running.pop(name).wait()

    def close(self) -> None:
        self.line.heal()
        for name in ENDED_IN_ORDER:
            if name in self._running:
                process = self._running.pop(name)
                program = self.programs[name]
                end({psutil.Process(process.pid): program.stop_signal}, program.stop_within_s)
                process.wait()

    # As a client.

    def request(self, path: str, method: str = "GET", **more: Any) -> httpx.Response:
        return self.client.request(method, f"{self.stack.api_url}/ocpp{path}", **more)

    def call(self, path: str, method: str = "GET", **more: Any) -> Any:
        answer = self.request(path, method, **more)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def create(self, prefix: str, count: int, **template: object) -> dict[str, str]:
        """Create shared chargers by one request. Returns their ids by identity."""
        location_id = self.call("/locations", "POST", json=LOCATION)["id"]
        shared = {
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ws_url": self.csms.url,
            "identity_prefix": prefix,
            "placement": "shared",
        }
        group = {"template": shared | template, "charger_ids": [f"{number:03}" for number in range(count)]}
        job = self.call(f"/locations/{location_id}/chargers", "POST", json=[group])
        wait_until(lambda: self.call(f"/jobs/{job['job_id']}")["finished_at"], within_s=60)
        return self.chargers_of(location_id)

    def chargers_of(self, location_id: str) -> dict[str, str]:
        """The ids of a location's chargers by identity."""
        rows = self.call(f"/locations/{location_id}/chargers?limit=100")["data"]
        return {row["identity"]: row["id"] for row in rows}

    def delete(self, ids: Collection[str]) -> None:
        """Return when hosts have ended them."""
        for charger_id in ids:
            self.call(f"/chargers/{charger_id}", "DELETE")
        wait_until(lambda: not any(map(self.exists, ids)), within_s=60, what="all are gone")

    def exists(self, charger_id: str) -> bool:
        with self.engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1 FROM chargers WHERE id = :id"), {"id": charger_id}))

    def charger(self, charger_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(f"/chargers/{charger_id}")
        return found

    def observed(self, charger_id: str) -> str:
        """The state in which the charger was observed."""
        return str(self.charger(charger_id)["runtime"]["observed"])

    def observed_states(self) -> dict[str, str]:
        """Of all chargers, by identity."""
        return {row["identity"]: row["runtime"]["observed"] for row in self.rows()}

    def rows(self) -> list[dict[str, Any]]:
        """All chargers, of which there are at most 100."""
        return list(self.call("/chargers?limit=100&cursor=")["data"])

    # The chargers.

    def connected(self, identities: Collection[str], within_s: float = 30) -> dict[str, Session]:
        """The open session of each."""
        wait_until(lambda: all(map(self.csms.open_now, identities)), within_s, "all are connected")
        return {identity: self.csms.open_now(identity)[0] for identity in identities}

    def all_observed(self, ids: Collection[str], state: str, within_s: float = 30) -> None:
        def found() -> bool:
            states = {row["id"]: row["runtime"]["observed"] for row in self.rows()}
            return all(states.get(charger_id) == state for charger_id in ids)

        wait_until(found, within_s, f"all are {state}", every_s=0.1)

    def never_twice(self, identities: Collection[str]) -> bool:
        return {self.csms.most_at_once(identity) for identity in identities} == {1}

    def in_transaction(self, ids: Collection[str]) -> int:
        """How many of the chargers are in a transaction by what the link remembers of them."""
        with self.engine.connect() as connection:
            return int(connection.execute(IN_TRANSACTION, {"ids": list(ids)}).scalar_one())

    # The hosts.

    def host_pids(self) -> list[int]:
        return list(self.hosts())

    def hosts(self) -> dict[int, str]:
        """The id of each host by the id of its process."""
        tasks = self.client.get(f"{self.stack.ecs_url}/_chargehand/tasks", auth=self.stack.ecs_owner).json()
        return {
            task["pid"]: task["service"]
            for task in tasks
            if task["service"].startswith("host-") and task["pid"]
        }

    def signal_hosts(self, number: signal.Signals) -> None:
        for pid in self.host_pids():
            os.kill(pid, number)

    def boot_of_host(self) -> str:
        """The boot of the process that the only host is, by the link's rows."""
        with self.engine.connect() as connection:
            return str(connection.execute(BOOT).scalar_one())

    def cut_off(self, pid: int) -> None:
        """Cut this process off from the link; others keep theirs."""
        self.line.cut(lambda port: port in local_ports(pid))


def local_ports(pid: int) -> set[int]:
    """The local ports of the connections of a process."""
    try:
        return {each.laddr.port for each in psutil.Process(pid).net_connections("tcp")}
    except psutil.NoSuchProcess:
        return set()


def is_closed(session: Session) -> bool:
    return session.closed_at is not None


def stayed(sessions: Collection[Session]) -> bool:
    return not any(map(is_closed, sessions))


@contextmanager
def running_product(folder: Path, **settings: str) -> Iterator[Product]:
    """`settings` are more environment variables."""
    api_port, ecs_port, link_port = free_port(), free_port(), free_port()
    ecs_url = f"http://{HOST}:{ecs_port}"
    postgres, redis = prepare_postgres(folder, free_port()), prepare_redis(folder, free_port())
    with ExitStack() as parts:
        line = TcpProxy(link_port)
        parts.callback(line.close)
        variables = {
            **environment(postgres.url, redis.url),
            "CHARGEHAND_ENV": "embedded",
            "AWS_ENDPOINT_URL": ecs_url,
            "BIND": f"{HOST}:{api_port}",
            "LINK_BIND": f"{HOST}:{link_port}",
            "CONTROL_URL": f"ws://{HOST}:{line.port}/control",
            "PATH": "/usr/bin:/bin",
            **settings,
        }
        stack = Stack(f"http://{HOST}:{api_port}", ecs_url, postgres.url, redis.url, variables, folder)
        programs = (
            postgres.program,
            redis.program,
            ecs_program(stack, ecs_port),
            api_program(stack),
            link_program(stack),
            worker_program(stack),
            beat_program(stack),
        )
        engine = make_engine(postgres.url, pool_size=2)
        parts.callback(engine.dispose)
        csms = parts.enter_context(RememberingCsms())
        token = make_token(TOKENS, subject="tester", organization_id=ORGANIZATION, role="user", ttl_s=7200)
        headers = {"Authorization": f"Bearer {token}"}
        client = parts.enter_context(httpx.Client(headers=headers, timeout=40, **PLAIN_HTTP))
        product = Product(stack, csms, line, engine, client, {program.name: program for program in programs})
        parts.callback(product.close)
        product.start("postgres")
        migrate(postgres.url)
        for program in programs[1:]:
            product.start(program.name)
        yield product
