"""A worker that cannot work says so in one line when it starts."""

import os
import subprocess
import sys
from typing import Any

import pytest

from shared.database import connection as connecting
from shared.settings import Settings
from tests.support.environment import environment
from worker.broker.pool import TaskPool
from worker.resources import Process
from worker.startup import checks as start
from worker.startup.checks import check_options


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("autoscale", (4, 1), "--autoscale has no effect: threads"),
        ("max_tasks_per_child", 5, "--max-tasks-per-child has no effect: there are no child processes"),
        ("max_memory_per_child", 5, "--max-memory-per-child has no effect: there are no child processes"),
        ("time_limit", 5.0, "--time-limit has no effect: a task in a thread cannot be interrupted"),
        ("soft_time_limit", 5.0, "--soft-time-limit has no effect: a task in a thread"),
        ("concurrency", 0, "-c 0 (or WORKER_CONCURRENCY) leaves no thread for a task: use 1 or more"),
        ("queues", ["lifecycle", "foo"], "-Q foo: there is no such queue: the queues are lifecycle, prov"),
        ("exclude_queues", ["foo"], "-X foo: there is no such queue"),
    ],
)
def test_an_option_that_cannot_work_is_refused(option: str, value: Any, says: str) -> None:
    with pytest.raises(SystemExit) as ended:
        check_options(options={"pool": TaskPool, option: value})

    assert str(ended.value).startswith(f"Error: {says}")


def test_a_pool_of_processes_is_refused_in_one_line() -> None:
    argv = [sys.executable, "-m", "celery", "-A", "worker.celery_app", "worker", "-P", "prefork"]
    variables = environment("postgresql://127.0.0.1:1/none", "redis://127.0.0.1:1/0")

    ended = subprocess.run(
        argv, env={**os.environ, **variables}, capture_output=True, text=True, timeout=60, check=False
    )

    assert ended.returncode == 1
    assert ended.stderr == (
        "Error: -P prefork has no effect: tasks run in threads, and -c says how many; leave -P out\n"
    )


def test_a_worker_whose_database_is_unfit_ends_with_the_reason(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a database that is away."""
    monkeypatch.setattr(start, "resources", Process().resources)
    monkeypatch.setattr(connecting, "OLDEST_VERSION", 99)

    with pytest.raises(SystemExit) as ended:
        start.check_installation()

    assert str(ended.value).endswith(": use 99 or newer")
