"""The worker's pool of threads."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from billiard.einfo import ExceptionInfo

from tests.support.waiting import wait_until
from worker.broker.pool import TaskPool
from worker.ecs.aws_settings import MAX_GROWTH

THREADS = 2


class Hanging:
    """Tasks that run until they are released."""

    def __init__(self) -> None:
        self.started = 0
        self._lock = threading.Lock()
        self._released = threading.Event()

    def __call__(self, *_: object) -> None:
        with self._lock:
            self.started += 1
        self._released.wait(30)

    def release(self) -> None:
        self._released.set()


@pytest.fixture
def pool() -> Iterator[TaskPool]:
    pool = TaskPool(THREADS)
    yield pool
    pool.on_stop()


def run(pool: TaskPool, task: Any) -> tuple[Any, list[ExceptionInfo]]:
    """As a worker does. Returns the result, and the errors that the pool reports."""
    errors: list[ExceptionInfo] = []
    result = pool.on_apply(task, ("name",), {}, callback=lambda _: None, error_callback=errors.append)
    return result, errors


def test_calls_that_hang_hold_up_no_others_while_the_worker_has_a_thread_left(pool: TaskPool) -> None:
    hanging = Hanging()
    for _ in range(MAX_GROWTH * THREADS - 1):
        run(pool, hanging)
    wait_until(lambda: hanging.started == MAX_GROWTH * THREADS - 1)
    seen: list[str] = []

    run(pool, seen.append)

    wait_until(lambda: seen)
    hanging.release()


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_an_error_of_celery_around_a_task_is_reported_and_costs_no_thread(
    pool: TaskPool, error: type[BaseException]
) -> None:
    def fail(*_: object) -> None:
        raise error

    failed, errors = run(pool, fail)
    failed.wait(5)
    seen: list[str] = []
    run(pool, seen.append)

    wait_until(lambda: seen)
    assert [info.type for info in errors] == [error]


def test_the_pool_stops_when_its_tasks_have_ended() -> None:
    pool, hanging = TaskPool(THREADS), Hanging()
    for _ in range(THREADS):
        run(pool, hanging)
    wait_until(lambda: hanging.started == THREADS)
    stopping = threading.Thread(target=pool.on_stop)
    stopping.start()

    hanging.release()
    stopping.join(10)

    assert not stopping.is_alive()
