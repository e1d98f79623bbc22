"""A worker process by itself: it ends in order, and outlives whatever happens to its broker and database."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, text, update

from embedded.ecs.process import EcsProcess
from embedded.ports import free_port
from embedded.process import running
from embedded.redis import Redis, prepare_redis
from shared.broker.app import make_celery, send
from shared.models import Charger, FleetSpec
from shared.queues import QUEUE_OF, TaskName, message
from tests.faults.poison import POISON
from tests.support.embedded_ecs import ROLE, Embedded
from tests.support.environment import environment
from tests.support.waiting import wait_until
from tests.support.world import HOSTING, World
from worker.broker.quarantine import QUARANTINE, is_readable, quarantine_unreadable
from worker.reconcile.converge import converge

POOL = ("-c", "4", "-Q", "lifecycle,provisioning,maintenance", "--without-gossip", "--without-mingle")
ROOT = Path(__file__).parents[2]


class Broker:
    """A Redis of this test's own, which it may kill, freeze and start again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server: Redis = prepare_redis(folder, free_port())
        self.pid = 0

    @contextmanager
    def up(self) -> Iterator[redis.Redis]:
        with (
            running(self.server.program, self._folder / "redis.log"),
            redis.Redis.from_url(self.server.url) as client,
        ):
            self.pid = int(client.info()["process_id"])
            yield client

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


class Worker:
    """A worker process as production starts it, and its log."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.log = folder / "worker.log"
        self._env = {**os.environ, **env}
        self.process: subprocess.Popen[bytes] | None = None
        self.starts = 0

    def start(self) -> None:
        with self.log.open("ab") as log:
            argv = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", *POOL]
            self.process = subprocess.Popen(argv, cwd=ROOT, env=self._env, stdout=log, stderr=log)
        self.starts += 1

    @property
    def exit_code(self) -> int | None:
        assert self.process is not None
        return self.process.poll()

    def supervise(self) -> None:
        """Start it again if it ended, as the embedded mode and any container platform does."""
        if self.exit_code is not None:
            self.start()

    def terminate(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)

    def said(self) -> str:
        return self.log.read_text(errors="replace")


class Line:
    """A worker on its broker, and chargers to give it."""

    def __init__(self, world: World, broker: Broker, worker: Worker, ecs: EcsProcess) -> None:
        self.world, self.broker, self.worker, self.ecs = world, broker, worker, ecs
        self._numbers = iter(range(1_000))

    def publish(self, charger_id: str) -> None:
        app = make_celery(self.broker.server.url, publisher=True)
        hint = message(
            charger_id=charger_id,
            command_id=None,
            event_type="create_charger",
            generation=1,
            desired_count=1,
        )
        send(app, [(TaskName.PROVISION, hint)])
        app.close()

    def beat(self, task: TaskName) -> None:
        app = make_celery(self.broker.server.url, publisher=True)
        app.send_task(task.value, queue=QUEUE_OF[task].value, ignore_result=True)
        app.close()

    def given(self) -> str:
        """A new charger, whose message is on the queue."""
        charger_id = self.world.create(f"CP-{next(self._numbers)}")
        self.publish(charger_id)
        return charger_id

    def applied(self, charger_id: str) -> bool:
        charger = self.world.charger(charger_id)
        return charger.observed_generation == charger.generation

    def works_within(self, seconds: float) -> float:
        """A new charger is taken in. Returns how many seconds it took."""
        began = time.monotonic()
        charger_id = self.given()
        wait_until(lambda: self.applied(charger_id), within_s=seconds)
        return time.monotonic() - began

    def refusals(self) -> list[str]:
        """What the worker said of a broker that refuses its messages, or its password."""
        return re.findall(r"broker\.away|Cannot connect to redis", self.worker.said())

    def in_flight(self) -> str:
        """A charger whose CreateService is with ECS just now, and takes two seconds."""
        self.ecs.set_faults({"kind": "apply_then_delay", "action": "CreateService", "seconds": 2})
        self.ecs.clear_calls()
        charger_id = self.given()
        wait_until(lambda: self.ecs.calls("CreateService"))
        return charger_id


@pytest.fixture
def line(world: World, engine: Engine, ecs_process: EcsProcess, tmp_path: Path) -> Iterator[Line]:
    broker = Broker(tmp_path)
    env = environment(engine.url.render_as_string(hide_password=False), broker.server.url) | {
        "AWS_ENDPOINT_URL": ecs_process.endpoint_url,
        "ECS_SUBNETS": "subnet-1",
        "ECS_EXECUTION_ROLE_ARN": ROLE,
    }
    worker = Worker(tmp_path, env)
    yield Line(world, broker, worker, ecs_process)
    worker.stop()
    ecs_process.set_faults()


def test_calls_that_hang_for_some_chargers_do_not_hold_up_others(line: Line) -> None:
    """Six of them, for 30 s each, and the worker has four slots."""
    with line.broker.up():
        line.worker.start()
        line.works_within(20)
        hanging = [line.world.create(f"CP-hangs-{number}") for number in range(6)]
        line.ecs.set_faults(
            *(
                {"kind": "delay", "action": "CreateService", "service": charger_id, "seconds": 30}
                for charger_id in hanging
            )
        )
        line.ecs.clear_calls()
        for charger_id in hanging:
            line.publish(charger_id)
        wait_until(lambda: len(line.ecs.calls("CreateService")) >= 4)

        line.works_within(10)

        assert not any(map(line.applied, hanging))


def test_sigterm_lets_the_worker_finish_what_it_holds(line: Line) -> None:
    with line.broker.up():
        line.worker.start()
        line.works_within(20)
        charger_id = line.in_flight()

        line.worker.terminate()
        wait_until(lambda: line.worker.exit_code is not None)

    assert line.worker.exit_code == 0
    assert line.applied(charger_id)


def test_sighup_restarts_the_worker(line: Line) -> None:
    with line.broker.up():
        line.worker.start()
        line.works_within(40)
        process = line.worker.process
        assert process is not None

        process.send_signal(signal.SIGHUP)
        wait_until(lambda: line.worker.said().count(" ready.") == 2, within_s=60)

        line.works_within(20)
    assert line.worker.exit_code is None


def test_a_worker_rolls_its_image_out(line: Line, embedded: Embedded) -> None:
    charger_id = line.world.create()
    old = copy(embedded.ecs)
    old._settings = replace(old._settings, image="simulator:old")
    converge(line.world.sessions, old, line.world.timing, charger_id, HOSTING)
    with line.world.sessions.begin() as session:
        session.execute(update(Charger).values(provisioning_status="READY", settled_generation=1))

    def image() -> str:
        arn = embedded.ecs.describe_services([charger_id])[charger_id].task_definition_arn  # type: ignore[union-attr]
        answer = embedded.ecs._ecs.describe_task_definition(taskDefinition=arn or "")
        return answer["taskDefinition"]["containerDefinitions"][0]["image"]

    def came_long_ago() -> bool:
        with line.world.sessions.begin() as session:
            ago = timedelta(hours=1)
            earlier = {"since": FleetSpec.since - ago, "paced_at": FleetSpec.paced_at - ago}
            return bool(session.scalars(update(FleetSpec).values(earlier).returning(FleetSpec.hash)).all())

    def is_rolled_out() -> bool:
        line.beat(TaskName.ROLLOUTS)  # as often as beat does: one that meets the run before it does nothing
        return image() != before

    before = image()
    with line.broker.up():
        line.worker.start()
        line.beat(TaskName.ROLLOUTS)
        wait_until(came_long_ago, within_s=20)
        wait_until(is_rolled_out, within_s=20)

    assert (before, image()) == ("simulator:old", "chargehand-simulator")


def test_a_worker_outlives_its_broker_and_its_database(line: Line, engine: Engine) -> None:
    """One worker through all of it: a broker that is killed, flushed, frozen, and a lost database."""
    with line.broker.up():
        line.worker.start()
        line.works_within(20)
        charger_id = line.in_flight()
        line.broker.kill()
        wait_until(lambda: line.applied(charger_id))  # ECS and the database are there: it goes on
        line.ecs.set_faults()
    with line.broker.up() as client:
        after_kill_s = line.works_within(10)

        client.flushall()
        line.works_within(5)

        os.kill(line.broker.pid, signal.SIGSTOP)
        try:
            time.sleep(6)  # longer than the worker's socket time-out
        finally:
            os.kill(line.broker.pid, signal.SIGCONT)
        line.works_within(10)

        with line.world.sessions() as session:
            session.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        charger_id = line.given()
        line.publish(charger_id)  # as the sweep does: the message that met the end of its connection is gone
        wait_until(lambda: line.applied(charger_id))

    assert line.worker.exit_code is None
    assert line.worker.starts == 1
    assert after_kill_s < 10


def test_a_message_that_kills_two_workers_is_quarantined(line: Line) -> None:
    with line.broker.up() as client:
        line.worker.start()
        line.works_within(20)
        for entry in POISON:
            client.lpush("provisioning", entry)

        charger_id = line.given()

        def taken_in() -> bool:
            line.worker.supervise()
            return line.applied(charger_id)

        wait_until(taken_in, within_s=60)
        wait_until(lambda: client.llen("provisioning") == 0)
        quarantined = client.lrange(QUARANTINE, 0, -1)

    assert line.worker.starts <= 2 + len(POISON) // 2
    assert quarantined
    assert not [entry for entry in quarantined if isinstance(entry, bytes) and is_readable(entry)]
    assert "queue.quarantined" in line.worker.said()


def test_only_entries_that_are_not_messages_are_quarantined(line: Line) -> None:
    with line.broker.up() as client:
        charger_id = line.given()
        good = client.lrange("provisioning", 0, -1)
        for entry in POISON[:4]:
            client.rpush("provisioning", entry)
            client.lpush("provisioning", entry)
        client.set("lifecycle", "no list")

        moved = quarantine_unreadable(client, ["provisioning", "lifecycle", "maintenance"])
        again = quarantine_unreadable(client, ["provisioning", "lifecycle", "maintenance"])

        assert (moved, again) == (8, 0)
        assert client.lrange("provisioning", 0, -1) == good
        assert client.llen(QUARANTINE) == 8
        line.worker.start()
        client.delete("lifecycle")
        wait_until(lambda: line.applied(charger_id), within_s=20)


def test_what_cannot_even_be_recorded_costs_the_worker_no_slot(line: Line) -> None:
    with line.broker.up():
        line.worker.start()
        line.works_within(20)
        for _ in range(20):  # more than it takes at once
            line.publish("no charger's id: \0")

        line.works_within(10)

    assert "charger.not_recorded" in line.worker.said()


def failover(client: redis.Redis, **settings: str) -> None:
    for name, value in settings.items():
        client.config_set(name.replace("_", "-"), value)
    client.replicaof("127.0.0.1", 1)  # nobody is there, so it stays without a master


REFUSALS: dict[str, tuple[Callable[[redis.Redis], Any], Callable[[redis.Redis], Any]]] = {
    "READONLY": (failover, lambda client: client.replicaof("NO", "ONE")),
    "MASTERDOWN": (
        lambda client: failover(client, replica_serve_stale_data="no"),
        lambda client: client.replicaof("NO", "ONE"),
    ),
    "NOPERM": (
        lambda client: client.acl_setuser("default", enabled=True, categories=["-@write"]),
        lambda client: client.acl_setuser("default", enabled=True, categories=["+@write"]),
    ),
    "NOAUTH": (
        lambda client: [client.config_set("requirepass", "new"), client.client_kill_filter(skipme=True)],
        lambda client: client.config_set("requirepass", ""),
    ),
}


def test_a_worker_waits_while_its_broker_refuses_and_goes_on_when_it_takes_messages(line: Line) -> None:
    """The errors of a failover and of a change of rights, one after the other, with the same worker."""
    with line.broker.up() as client:
        line.worker.start()
        line.works_within(20)
        for refuse, take_again in REFUSALS.values():
            refused = len(line.refusals())
            refuse(client)
            wait_until(lambda so_far=refused: len(line.refusals()) > so_far)  # type: ignore[misc]
            take_again(client)

            line.works_within(15)

        refused = len(line.refusals())
        failover(client)
        wait_until(lambda: len(line.refusals()) > refused)
        line.worker.terminate()
        wait_until(lambda: line.worker.exit_code is not None)

    assert (line.worker.starts, line.worker.exit_code) == (1, 0)
    assert "Unrecoverable error" not in line.worker.said()


def test_a_worker_that_starts_while_its_broker_is_full_makes_room(line: Line) -> None:
    with line.broker.up() as client:
        charger_id = line.given()
        client.config_set("maxmemory", 1)
        line.worker.start()

        wait_until(lambda: line.applied(charger_id), within_s=20)
        client.config_set("maxmemory", 0)
        line.works_within(5)

    assert line.worker.starts == 1
    assert line.worker.exit_code is None
