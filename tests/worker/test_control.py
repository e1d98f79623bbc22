"""Flower's buttons: each does what it says, or is refused with a sentence."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.contrib.testing.worker import start_worker

import worker.broker.control  # noqa: F401 - registers the commands
from embedded.redis import running_redis
from shared.broker.app import make_celery, send
from shared.queues import TaskName, message
from tests.support.waiting import wait_until

THREADS = 2

#: What Flower or an operator sends, and what is in the answer.
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    ("pool_grow", {"n": 100}, "start another worker"),
    ("pool_grow", {"n": 0}, "by 1 or more"),
    ("pool_shrink", {"n": 2}, "one must remain"),
    ("pool_shrink", {"n": -1}, "by 1 or more"),
    ("autoscale", {"max": 4, "min": 1}, "grow or shrink"),
    ("pool_restart", {"reload": False}, "supervisor starts it again"),
    ("time_limit", {"task_name": "charger.stop", "hard": 5, "soft": 5}, "cannot be interrupted"),
    ("rate_limit", {"task_name": "charger.stop", "rate_limit": "1/m"}, "ECS_BUDGET_SHARE"),
    ("revoke", {"task_id": "1", "terminate": True, "signal": "SIGTERM"}, "cannot be revoked"),
    ("terminate", {"task_id": "1", "signal": "SIGTERM"}, "cannot be revoked"),
    ("add_consumer", {"queue": "nonsense"}, "lifecycle, provisioning, maintenance"),
    ("cancel_consumer", {"queue": "nonsense"}, "lifecycle, provisioning, maintenance"),
]


class Work:
    """The task's body: holds on until it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.holds = threading.Event()

    def __call__(self, **_: object) -> None:
        self.begun += 1
        self.holds.wait(30)


@pytest.fixture
def work() -> Iterator[Work]:
    work = Work()
    yield work
    work.holds.set()


@pytest.fixture
def app(tmp_path: Path, work: Work) -> Iterator[Celery]:
    """With a running worker of two threads."""
    with running_redis(tmp_path) as url:
        app = make_celery(url, publisher=False)
        app.conf.update(
            task_acks_late=True,
            worker_consumer="worker.broker.consumer:ReconnectingConsumer",
            worker_prefetch_multiplier=1,
        )
        app.task(name=TaskName.STOP.value, shared=False)(work.__call__)
        pool = "worker.broker.pool:TaskPool"
        with start_worker(app, pool=pool, concurrency=THREADS, perform_ping_check=False):
            wait_until(lambda: app.control.ping(timeout=0.5))
            yield app
            work.holds.set()
        app.close()


def press(app: Celery, command: str, **arguments: Any) -> dict[str, str]:
    """As Flower does. The answer of the one worker."""
    [[answer]] = [
        list(reply.values())
        for reply in app.control.broadcast(command, arguments=arguments, reply=True, limit=1, timeout=5) or ()
    ]
    assert isinstance(answer, dict)
    return answer


def publish(app: Celery, count: int) -> None:
    hint = message(
        charger_id="dep-1", command_id=None, event_type="stop_charger", generation=1, desired_count=0
    )
    send(app, [(TaskName.STOP, hint)] * count)


def pool(app: Celery) -> dict[str, Any]:
    [stats] = (app.control.inspect(timeout=5, limit=1).stats() or {}).values()
    return {**stats["pool"], "prefetch_count": stats["prefetch_count"]}


def test_a_pool_grows_and_shrinks_with_what_it_takes_from_the_queue(app: Celery, work: Work) -> None:
    publish(app, 40)
    wait_until(lambda: work.begun == THREADS)

    grown = press(app, "pool_grow", n=3)
    wait_until(lambda: work.begun == THREADS + 3)
    large = pool(app)
    shrunk = press(app, "pool_shrink", n=4)
    wait_until(lambda: pool(app)["prefetch_count"] == 1)
    small = pool(app)

    assert (grown, shrunk) == ({"ok": "The pool has 5 threads."}, {"ok": "The pool has 1 threads."})
    assert (large["max-concurrency"], large["prefetch_count"]) == (5, 5)
    assert small["max-concurrency"] == 1
    assert work.begun == 5


def test_what_a_pool_of_threads_cannot_do_is_refused_with_a_sentence(app: Celery) -> None:
    answers = [press(app, command, **arguments)["error"] for command, arguments, _ in REFUSED]

    assert [says for answer, (*_, says) in zip(answers, REFUSED, strict=True) if says not in answer] == []
    assert pool(app)["max-concurrency"] == THREADS


def test_a_queue_is_left_and_joined_again(app: Celery, work: Work) -> None:
    work.holds.set()
    left = press(app, "cancel_consumer", queue="lifecycle")
    publish(app, 1)
    waits = work.begun

    joined = press(app, "add_consumer", queue="lifecycle")

    wait_until(lambda: work.begun == 1)
    assert waits == 0
    assert (left, joined) == ({"ok": "no longer consuming from lifecycle"}, {"ok": "add consumer lifecycle"})
