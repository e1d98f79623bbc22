"""Three workers of one stack, another one that joins it, and what Flower shows."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psutil
import pytest

from embedded.process import Program, running
from embedded.stack.joining import joining_environment
from tests.embedded.stack.up import Up, running_up
from tests.support.http import PLAIN_HTTP
from tests.support.stack import ecs_owner
from tests.support.waiting import wait_until

WORKERS = 3
CHARGERS = 10
CELERY = (sys.executable, "-m", "celery", "-A", "worker.celery_app")
QUEUES = ("-Q", "lifecycle,provisioning,maintenance")


class Fleet:
    """A stack of three workers with chargers, its API, its ECS and its Flower."""

    def __init__(self, up: Up) -> None:
        self.up = up
        self.environment = psutil.Process(up.pid("worker1")).environ()
        self.ecs_url = self.environment["AWS_ENDPOINT_URL"]
        self.ecs_owner = ecs_owner(self.environment)
        stack = up.stack
        self.api = httpx.Client(
            base_url=stack["api"],
            headers={"Authorization": f"Bearer {stack['token']}"},
            timeout=70,
            **PLAIN_HTTP,
        )
        self.flower = httpx.Client(
            base_url=stack["flower"],
            auth=(stack["flower_user"], stack["flower_password"]),
            timeout=10,
            **PLAIN_HTTP,
        )
        with ThreadPoolExecutor(CHARGERS) as pool:
            self.chargers = list(pool.map(self._create, range(CHARGERS)))

    def close(self) -> None:
        self.api.close()
        self.flower.close()

    def _create(self, number: int) -> str:
        body = {
            "identity": f"CP-{number}",
            "brand_slug": "wallbox",
            "model_slug": "wallbox-pulsar-plus",
            "connector_type": "Type2",
            "ocpp_version": "OCPP1.6",
            "ws_url": "ws://127.0.0.1:9/ocpp",
        }
        return str(self.api.post("/ocpp/chargers?wait=60", json=body).json()["charger_id"])

    def command(self, charger_id: str, verb: str, wait_s: int) -> dict[str, Any]:
        answer = self.api.post(f"/ocpp/chargers/{charger_id}/{verb}-charger", params={"wait": wait_s})
        answer.raise_for_status()
        return dict(answer.json())

    def command_all(self, verb: str, wait_s: int = 60) -> list[dict[str, Any]]:
        with ThreadPoolExecutor(CHARGERS) as pool:
            return list(pool.map(lambda charger_id: self.command(charger_id, verb, wait_s), self.chargers))

    def changes(self) -> Counter[str]:
        """The number of calls that change something at ECS, by name."""
        calls = httpx.get(f"{self.ecs_url}/_chargehand/calls", auth=self.ecs_owner, **PLAIN_HTTP).json()
        return Counter(
            call["action"] for call in calls if not call["action"].startswith(("Describe", "List", "Filter"))
        )

    def clear_calls(self) -> None:
        httpx.delete(
            f"{self.ecs_url}/_chargehand/calls", auth=self.ecs_owner, **PLAIN_HTTP
        ).raise_for_status()

    def tasks(self, worker: str = "") -> dict[str, dict[str, Any]]:
        """The tasks that Flower shows, by id."""
        only = {"workername": worker} if worker else {}
        return dict(self.flower.get("/api/tasks", params={"limit": 100_000, **only}).json())

    def worker(self, name: str) -> dict[str, Any]:
        """What Flower's page of the worker shows; empty until Flower knows the worker."""
        answer = self.flower.get("/api/workers", params={"refresh": 1, "workername": name})
        return dict(answer.json()[name]) if answer.status_code == 200 else {}


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    quick = {
        "ECS_EMBEDDED_TASK_COMMAND": "sleep 1000",  # a charger that costs nothing
        "ECS_EMBEDDED_STEADY_AFTER_S": "0.2",
    }
    with (
        TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as name,
        running_up(Path(name), WORKERS=str(WORKERS), **quick) as up,
    ):
        fleet = Fleet(up)
        yield fleet
        fleet.close()


def test_flower_shows_the_first_tasks_of_all_workers_to_their_end(fleet: Fleet) -> None:
    """The chargers were created right after the stack was ready."""
    wait_until(lambda: ended(fleet) >= CHARGERS, 15)

    made = [task for task in fleet.tasks().values() if task["name"] == "charger.provision"]

    assert len(made) >= CHARGERS
    assert all(task["received"] and task["started"] and task["succeeded"] for task in made)


def test_flower_shows_every_task_of_a_burst_to_its_end(fleet: Fleet) -> None:
    before = set(fleet.tasks())

    def burst(charger_id: str) -> None:
        for verb in ("stop", "start") * 5:
            fleet.command(charger_id, verb, 0)

    with ThreadPoolExecutor(CHARGERS) as pool:
        list(pool.map(burst, fleet.chargers))

    def fresh() -> list[dict[str, Any]]:
        return [task for uuid, task in fleet.tasks().items() if uuid not in before]

    wait_until(lambda: len(fresh()) >= 100 and all(shown_to_its_end(task) for task in fresh()), 15)
    assert {task["name"].split(".")[0] for task in fresh()} == {"charger"}  # no maintenance


def test_two_hundred_commands_over_three_workers_are_each_applied_once(fleet: Fleet) -> None:
    fleet.command_all("start")
    fleet.clear_calls()
    before = set(fleet.tasks())

    ends = [end["command"]["status"] for verb in ("stop", "start") * 10 for end in fleet.command_all(verb)]

    assert Counter(ends) == {"succeeded": 20 * CHARGERS}
    assert fleet.changes() == {"UpdateService": 20 * CHARGERS}
    served = {task["worker"].split("@")[0] for uuid, task in fleet.tasks().items() if uuid not in before}
    assert served == {"worker1", "worker2", "worker3"}


def test_flowers_buttons_resize_a_worker_or_say_why_not(fleet: Fleet) -> None:
    """The page with the buttons appears when Flower has received an event of the worker."""
    worker = f"worker1@{gethostname()}"
    wait_until(lambda: "stats" in fleet.worker(worker), 20)

    grown = fleet.flower.post(f"/api/worker/pool/grow/{worker}", params={"n": 2})
    refused = fleet.flower.post(f"/api/worker/pool/autoscale/{worker}", params={"min": 1, "max": 4})

    assert (grown.status_code, refused.status_code) == (200, 403)
    assert "grow or shrink the pool, or start workers" in refused.text
    assert fleet.worker(worker)["stats"]["pool"]["max-concurrency"] == 34
    fleet.command_all("stop")
    fleet.command_all("start")


def test_a_worker_that_joins_with_the_environment_runs_tasks(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in fleet.environment.items():
        monkeypatch.setenv(name, value)
    added = Program(
        name="extra",
        argv=(*CELERY, "worker", "-c", "16", *QUEUES, "-n", "extra@%h"),
        env={"PATH": "/usr/bin:/bin", **joining_environment(fleet.environment)},
    )

    log = tmp_path / "extra.log"
    with running(added, log):
        wait_until(lambda: " ready." in log.read_text(), 40)
        verbs = cycle(("stop", "start"))
        wait_until(lambda: fleet.command_all(next(verbs)) and fleet.tasks(f"extra@{gethostname()}"), 30)


@pytest.mark.parametrize("region", ["", "us-east-1"])
def test_a_worker_with_half_of_the_environment_is_refused(fleet: Fleet, region: str) -> None:
    """With only the database, the broker and a region it would call Amazon."""
    half = {name: fleet.environment[name] for name in ("DATABASE_URL", "REDIS_URL")}
    unreachable = {"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9", "AWS_EC2_METADATA_DISABLED": "true"}
    aws = {**unreachable, "AWS_REGION": region, "AWS_CONFIG_FILE": "/no/such/file"}

    ended = subprocess.run(
        [*CELERY, "worker", *QUEUES],
        env={"PATH": "/usr/bin:/bin", **half, **aws},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    [line] = [line for line in ended.stderr.splitlines() if line.startswith("Error")]
    assert ended.returncode == 1
    if region:
        assert f"run as arn:custom:ecs:us-east-1:{fleet.environment['CHARGEHAND_INSTALLATION']}:" in line
        assert "would run them as arn:aws:ecs:us-east-1::service/chargehand/*" in line
    else:
        assert line.startswith("Error: AWS_REGION is not set")
    assert 'eval "$(chargehand env)"' in line


def ended(fleet: Fleet) -> int:
    return sum(shown_to_its_end(task) for task in fleet.tasks().values())


def shown_to_its_end(task: dict[str, Any]) -> bool:
    return bool(task["state"] == "SUCCESS" and task["received"] and task["started"] and task["succeeded"])
