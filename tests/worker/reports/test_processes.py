"""Two worker processes as production starts them: what they report, and what is left of them."""

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from sqlalchemy import Engine, func, select, update

from embedded.ecs.process import EcsProcess
from embedded.process import Program, running
from embedded.redis import running_redis
from shared.broker.app import make_celery
from shared.database.engine import Sessions
from shared.models import Worker
from shared.operations.processes import SeenWorker, workers_seen
from tests.support.embedded_ecs import ROLE
from tests.support.environment import environment
from tests.support.stack import PYTHON
from tests.support.waiting import wait_until
from worker.reports.row import prune_workers

REPORTED_WITHIN_S = 14  # a report every 10 s, on a machine that is busy
STARTED_WITHIN_S = 40


class Pool:
    """Workers on a broker of the test's own."""

    def __init__(self, sessions: Sessions, broker_url: str) -> None:
        self._sessions = sessions
        self.broker_url = broker_url

    def seen(self) -> dict[str, SeenWorker]:
        """By the part of the name before the host's."""
        with self._sessions() as session:
            return {worker.name.partition("@")[0]: worker for worker in workers_seen(session)}

    def wait_for(self, name: str, **columns: Any) -> SeenWorker:
        """The worker, once its report says so."""

        def says_so() -> SeenWorker | None:
            found = self.seen().get(name)
            matches = found and all(getattr(found, column) == value for column, value in columns.items())
            return found if matches else None

        try:
            found = wait_until(says_so, REPORTED_WITHIN_S if columns else STARTED_WITHIN_S)
        except AssertionError:
            raise AssertionError(f"{name} is not {columns}, but {self.seen().get(name)}") from None
        assert found is not None
        return found

    def pid_of(self, name: str) -> int:
        with self._sessions() as session:
            return session.scalars(select(Worker.pid).where(Worker.name.like(f"{name}@%"))).one()

    def press(self, command: str, name: str, **arguments: Any) -> None:
        """As Flower does."""
        app = make_celery(self.broker_url, publisher=True)
        destination = [self.seen()[name].name]
        app.control.broadcast(command, destination=destination, arguments=arguments, reply=True, timeout=5)
        app.close()

    def turn_clock(self, seconds: float) -> None:
        """Let every report be older by so many seconds."""
        with self._sessions.begin() as session:
            session.execute(update(Worker).values(seen_at=Worker.seen_at - timedelta(seconds=seconds)))


@pytest.fixture
def pool(sessions: Sessions, engine: Engine, ecs_process: EcsProcess, tmp_path: Path) -> Iterator[Pool]:
    with running_redis(tmp_path / "redis") as broker_url, ExitStack() as stack:
        env = environment(engine.url.render_as_string(hide_password=False), broker_url) | {
            "AWS_ENDPOINT_URL": ecs_process.endpoint_url,
            "ECS_SUBNETS": "subnet-1",
            "ECS_EXECUTION_ROLE_ARN": ROLE,
        }
        for name, queues in (("first", "lifecycle,provisioning"), ("second", "lifecycle,maintenance")):
            argv = f"-m celery -A worker.celery_app worker -c 4 -Q {queues} -n {name}@%h"
            program = Program(
                name, (PYTHON, *argv.split()), env={**os.environ, **env}, cwd=Path(__file__).parents[3]
            )
            stack.enter_context(running(program, tmp_path / f"{name}.log"))
        yield Pool(sessions, broker_url)


def test_workers_report_what_they_serve_until_they_end(pool: Pool, sessions: Sessions) -> None:
    """One is changed and ends in order, the other is killed."""
    first, second = pool.wait_for("first"), pool.wait_for("second")
    assert (first.queues, second.queues) == (("lifecycle", "provisioning"), ("lifecycle", "maintenance"))
    assert (first.threads, first.busy, first.alive, second.alive) == (4, 0, True, True)

    pool.press("cancel_consumer", "first", queue="lifecycle")
    pool.press("add_consumer", "first", queue="maintenance")
    pool.press("pool_grow", "first", n=2)
    pool.wait_for("first", queues=("maintenance", "provisioning"), threads=6, started_at=first.started_at)

    os.kill(pool.pid_of("second"), signal.SIGKILL)
    killed = pool.seen()["second"]
    pool.turn_clock(30 - killed.age_s - 2)
    nearly_dead = pool.seen()["second"].alive
    pool.turn_clock(3)
    reports = pool.seen()
    wait_until(lambda: pool.seen()["first"].seen_at > reports["first"].seen_at, REPORTED_WITHIN_S)

    assert (killed.alive, nearly_dead, reports["second"].alive) == (True, True, False)
    assert (pool.seen()["first"].alive, pool.seen()["second"].alive) == (True, False)

    os.kill(pool.pid_of("first"), signal.SIGTERM)
    wait_until(lambda: "first" not in pool.seen(), 20)
    assert "second" in pool.seen()
    pool.turn_clock(3600)
    assert prune_workers(sessions) == 1
    with sessions() as session:
        assert session.scalar(select(func.count()).select_from(Worker)) == 0


def test_a_worker_that_is_held_up_by_its_broker_still_reports(pool: Pool) -> None:
    before = pool.wait_for("first")
    with redis.Redis.from_url(pool.broker_url) as client:
        client.config_set("requirepass", "new")
        client.client_kill_filter(skipme=True)

        wait_until(lambda: pool.seen()["first"].seen_at > before.seen_at, REPORTED_WITHIN_S)

        assert pool.seen()["first"].alive
        assert pool.seen()["first"].budget["shared"] is False
