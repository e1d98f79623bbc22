"""Runs the whole product on this machine (embedded ECS, API, worker and beat), and sends requests to it."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from time import monotonic, sleep

import httpx
import psutil
from sqlalchemy import Engine, text

from bench.support.servers import (
    control_environment,
    environment,
    running_process,
    running_stores,
    token,
)
from embedded.ports import HOST, answers, free_port
from embedded.process import Program
from shared.database.engine import make_engine

POLL_S = 0.05
OPEN_COMMANDS = text("SELECT count(*) FROM commands WHERE finished_at IS NULL")
TIMES = text("""
    SELECT extract(epoch FROM applied_at - created_at) AS applied_s,
        extract(epoch FROM finished_at - created_at) AS finished_s
    FROM commands WHERE id = ANY(CAST(:ids AS uuid[])) AND finished_at IS NOT NULL
""")


@dataclass(frozen=True, slots=True)
class Stack:
    """A running product."""

    api_url: str
    engine: Engine
    processes: dict[str, psutil.Process]
    ecs_url: str

    def client(self, organization: str) -> httpx.Client:
        return make_client(self.api_url, organization)

    def ecs_calls(self) -> list[str]:
        """The operations of the calls that the embedded ECS has had."""
        calls = httpx.get(f"{self.ecs_url}/_chargehand/calls", auth=("bench", "bench"), trust_env=False)
        return [call["action"] for call in calls.raise_for_status().json()]


@contextmanager
def running_stack(*, with_link: bool = False, **settings: str) -> Iterator[Stack]:
    """The product, ready; without the control link unless it is wanted. `settings` are more environment variables."""
    with running_stores() as stores, ExitStack() as parts:
        database_url = stores.new_database("stack")
        api_port, ecs_port, link_port = free_port(), free_port(), free_port()
        ecs_url = f"http://{HOST}:{ecs_port}"
        variables = environment(database_url, stores.redis_url) | {
            "CHARGEHAND_ENV": "embedded",
            "CHARGEHAND_INSTALLATION": "bench",
            "AWS_ENDPOINT_URL": ecs_url,
            "BIND": f"{HOST}:{api_port}",
            **(control_environment(link_port) if with_link else {}),
            **settings,
        }
        link_program = Program(
            "link", (sys.executable, "-m", "link"), answers(f"http://{HOST}:{link_port}/health")
        )
        ecs = ("-m", "embedded.ecs", "--port", str(ecs_port), "--state-dir", str(stores.folder / "ecs"))
        celery = ("-m", "celery", "-A", "worker.celery_app")
        options = "-Q lifecycle,provisioning,maintenance --without-gossip --without-mingle"
        processes = dict(stores.processes)
        for program in (
            Program(
                "embedded ECS",
                (sys.executable, *ecs),
                answers(f"{ecs_url}/_chargehand/health"),
                stop_within_s=12,
            ),
            Program(
                "API",
                (sys.executable, "-m", "gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"),
                answers(f"http://{HOST}:{api_port}/ready"),
            ),
            *([link_program] if with_link else []),
            Program("worker", (sys.executable, *celery, "worker", *options.split())),
            Program("beat", (sys.executable, *celery, "beat")),
        ):
            processes[program.name] = parts.enter_context(
                running_process(replace(program, env=variables), stores.folder)
            )
        engine = make_engine(database_url, pool_size=2)
        parts.callback(engine.dispose)
        yield Stack(f"http://{HOST}:{api_port}", engine, processes, ecs_url)


def make_client(api_url: str, organization: str) -> httpx.Client:
    """An HTTP client with a user's token of the organization."""
    headers = {"Authorization": f"Bearer {token(organization)}"}
    return httpx.Client(base_url=api_url, headers=headers, timeout=30, trust_env=False)


def create_charger(
    client: httpx.Client,
    identity: str,
    *,
    ws_url: str = "ws://localhost:9/ocpp",
    ocpp_version: str = "OCPP1.6",
) -> str:
    """Returns the charger's id as soon as it is recorded."""
    body = {
        "identity": identity,
        "brand_slug": "wallbox",
        "model_slug": "wallbox-pulsar-plus",
        "connector_type": "Type2",
        "ocpp_version": ocpp_version,
        "ws_url": ws_url,
    }
    answer = client.post("/ocpp/chargers", json=body).raise_for_status()
    return str(answer.json()["charger_id"])


def send_command(client: httpx.Client, charger_id: str, verb: str) -> str:
    """Start, stop or restart a charger. Returns the command's id."""
    answer = client.post(f"/ocpp/chargers/{charger_id}/{verb}-charger").raise_for_status()
    return str(answer.json()["command_id"])


def wait_until_settled(engine: Engine, within_s: float) -> None:
    """Wait until every command is final. Raises TimeoutError."""

    def settled() -> bool:
        with engine.connect() as connection:
            return not connection.scalar(OPEN_COMMANDS)

    wait_until(settled, within_s)


def command_times(
    engine: Engine, command_ids: Sequence[str], within_s: float = 60
) -> list[tuple[float, float]]:
    """Seconds from each command's acceptance until ECS accepted it, and until it was final.

    Waits until all are final. Raises TimeoutError.
    """
    rows: list[tuple[float, float]] = []

    def all_final() -> bool:
        with engine.connect() as connection:
            rows[:] = [
                (float(row.applied_s), float(row.finished_s))
                for row in connection.execute(TIMES, {"ids": list(command_ids)})
            ]
        return len(rows) == len(command_ids)

    wait_until(all_final, within_s)
    return rows


def wait_until(is_true: Callable[[], object], within_s: float) -> None:
    """Wait until `is_true` returns true. Raises TimeoutError."""
    deadline = monotonic() + within_s
    while not is_true():
        if monotonic() > deadline:
            raise TimeoutError(f"not within {within_s:g} s")
        sleep(POLL_S)
