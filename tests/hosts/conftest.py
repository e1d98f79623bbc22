"""The whole product with shared chargers, and ways to end its parts."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from embedded.ports import HOST, free_port
from embedded.process import Program, end, last_lines, spawn
from shared.auth.tokens import make_token
from shared.settings import TokenSettings
from tests.support.environment import JWT_SECRET, environment
from tests.support.stack import (
    RememberingCsms,
    Stack,
    api_program,
    beat_program,
    ecs_program,
    link_program,
    worker_program,
)
from tests.support.waiting import wait_until

CHARGERS = 20
ORGANIZATION = "acme"
LOCATION = {
    "name": "North",
    "address": "1",
    "city": "Hamburg",
    "country": "DE",
    "coordinates": {"latitude": 53.6, "longitude": 10.0},
}
TOKENS = TokenSettings("HS256", JWT_SECRET, public_key="", jwks_url="", issuer="", audience="", max_age_s=0)


@dataclass
class Product:
    """The processes of the product, each of which can be ended and started again."""

    stack: Stack
    csms: RememberingCsms
    programs: dict[str, Program] = field(default_factory=dict)
    _running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str) -> None:
        log = self.stack.folder / "logs" / f"{name}.log"
        self._running[name] = spawn(self.programs[name], log)
        try:
            wait_until(self.programs[name].is_ready, within_s=40)
        except AssertionError as error:
            raise AssertionError(f"{name} did not start\n{last_lines(log)}") from error

    def kill(self, name: str) -> None:
        """With its children, as the kernel does when memory runs out."""
        process = psutil.Process(self._running[name].pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.kill()
        self._running.pop(name).wait()

    def freeze(self, name: str) -> None:
        psutil.Process(self._running[name].pid).suspend()

    def thaw(self, name: str) -> None:
        psutil.Process(self._running[name].pid).resume()

    def close(self) -> None:
        for name in ("beat", "worker", "api", "ecs", "link"):
            if name in self._running:
                process = self._running.pop(name)
                end({psutil.Process(process.pid): signal.SIGTERM}, self.programs[name].stop_within_s)
                process.wait()

    # As a client.

    def call(self, path: str, method: str = "GET", **more: Any) -> Any:
        token = make_token(TOKENS, subject="tester", organization_id=ORGANIZATION, role="user", ttl_s=3600)
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.request(
            method, f"{self.stack.api_url}/ocpp{path}", headers=headers, timeout=40, **more
        )
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
        rows = self.call(f"/locations/{location_id}/chargers?limit=100")["data"]
        return {row["identity"]: row["id"] for row in rows}

    def charger(self, charger_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call(f"/chargers/{charger_id}")
        return found

    def observed(self, charger_id: str) -> str:
        """The state in which the charger was observed."""
        return str(self.charger(charger_id)["runtime"]["observed"])

    # The hosts.

    def host_pids(self) -> list[int]:
        tasks = httpx.get(f"{self.stack.ecs_url}/_chargehand/tasks", auth=self.stack.ecs_owner).json()
        return [task["pid"] for task in tasks if task["service"].startswith("host-") and task["pid"]]

    def signal_hosts(self, number: signal.Signals) -> None:
        for pid in self.host_pids():
            os.kill(pid, number)


@pytest.fixture(scope="module")
def product(server_folder: Path, new_database: Any, redis_url: str) -> Iterator[Product]:
    api_port, ecs_port, link_port = free_port(), free_port(), free_port()
    ecs_url = f"http://{HOST}:{ecs_port}"
    variables = {
        **environment(new_database(), f"{redis_url.removesuffix('/0')}/2"),
        "CHARGEHAND_ENV": "embedded",
        "AWS_ENDPOINT_URL": ecs_url,
        "BIND": f"{HOST}:{api_port}",
        "LINK_BIND": f"{HOST}:{link_port}",
        "CONTROL_URL": f"ws://{HOST}:{link_port}/control",
        "PATH": "/usr/bin:/bin",
    }
    stack = Stack(
        f"http://{HOST}:{api_port}",
        ecs_url,
        variables["DATABASE_URL"],
        variables["REDIS_URL"],
        variables,
        server_folder / "hosts",
    )
    programs = (
        ecs_program(stack, ecs_port),
        api_program(stack),
        link_program(stack),
        worker_program(stack),
        beat_program(stack),
    )
    with RememberingCsms() as csms:
        product = Product(stack, csms, {program.name: program for program in programs})
        try:
            for program in programs:
                product.start(program.name)
            yield product
        finally:
            product.close()


@pytest.fixture(scope="module")
def fleet(product: Product) -> dict[str, str]:
    """The ids of CHARGERS shared chargers by identity. Every test leaves them running."""
    return product.create("CP-", CHARGERS)
