"""How a worker takes messages from a Redis queue: in order, no more than it may hold, and all of them."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker

from embedded.redis import running_redis
from shared.broker.app import make_celery, send
from shared.queues import TaskName, message
from tests.support.waiting import wait_until

THREADS = 4


class Work:
    """The task's body: counts, and holds on until it is let go."""

    def __init__(self) -> None:
        self.takes_s = 0.0
        self.taken: list[str] = []
        self.now = 0
        self.highest = 0
        self.holds = threading.Event()
        self.holds.set()
        self._lock = threading.Lock()

    def __call__(self, *, charger_id: str, **_: object) -> None:
        with self._lock:
            self.taken.append(charger_id)
            self.now += 1
            self.highest = max(self.highest, self.now)
        time.sleep(self.takes_s)
        self.holds.wait(30)
        with self._lock:
            self.now -= 1


@pytest.fixture
def own_redis_url(tmp_path: Path) -> Iterator[str]:
    with running_redis(tmp_path) as url:
        yield url


@pytest.fixture
def client(own_redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_redis_url) as client:
        yield client


@pytest.fixture
def app(own_redis_url: str) -> Iterator[Celery]:
    """As worker.celery_app makes it, but for what the task does."""
    app = make_celery(own_redis_url, publisher=False)
    app.conf.update(
        task_acks_late=True,
        worker_consumer="worker.broker.consumer:ReconnectingConsumer",
        worker_prefetch_multiplier=1,
    )
    yield app
    app.close()


@pytest.fixture
def work(app: Celery) -> Work:
    work = Work()
    app.task(name=TaskName.STOP.value, shared=False)(work.__call__)  # no other app may have it
    return work


def worker(app: Celery) -> Any:
    return start_worker(
        app, pool="worker.broker.pool:TaskPool", concurrency=THREADS, perform_ping_check=False
    )


def publish(app: Celery, *charger_ids: str) -> None:
    hints = [
        message(
            charger_id=charger_id, command_id=None, event_type="stop_charger", generation=1, desired_count=0
        )
        for charger_id in charger_ids
    ]
    send(app, [(TaskName.STOP, hint) for hint in hints])


def names(count: int) -> list[str]:
    return [f"dep-{number:04}" for number in range(count)]


def test_a_backlog_is_taken_in_order_and_recorded_nowhere_else(
    app: Celery, client: redis.Redis, work: Work
) -> None:
    publish(app, *names(800))
    client.config_resetstat()

    with worker(app):
        wait_until(lambda: len(work.taken) == 800, within_s=20)
        calls = client.info("commandstats")

    assert sorted(work.taken) == names(800)
    assert work.taken[:THREADS] == names(THREADS)
    assert work.highest <= THREADS
    assert "cmdstat_hset" not in calls, "unacknowledged messages are recorded in Redis"


def test_a_worker_takes_one_message_for_each_of_its_threads(
    app: Celery, client: redis.Redis, work: Work
) -> None:
    work.holds.clear()
    publish(app, *names(3 * THREADS))

    with worker(app):
        wait_until(lambda: client.llen("lifecycle") <= 2 * THREADS)
        threading.Event().wait(0.3)  # time enough for more of them
        left = client.llen("lifecycle")
        work.holds.set()
        wait_until(lambda: len(work.taken) == 3 * THREADS)

    assert left == 2 * THREADS


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of a setting that we have set
@pytest.mark.parametrize("connection", ["first", "second"])
def test_a_full_worker_goes_on_as_soon_as_there_is_room(
    app: Celery, client: redis.Redis, work: Work, connection: str
) -> None:
    """The loop sleeps up to a second when nobody wakes it, also on a connection that replaced a lost one."""
    with worker(app):
        if connection == "second":
            client.client_kill_filter(_type="normal", skipme=True)
        publish(app, "dep-first")
        wait_until(lambda: work.taken)
        work.takes_s = 0.02

        publish(app, *names(400))

        wait_until(lambda: len(work.taken) == 401, within_s=15)  # 2 s of work; 33 s, were it not woken


def test_a_message_that_breaks_what_is_around_a_task_costs_no_place(
    app: Celery, client: redis.Redis, work: Work
) -> None:
    publish(app, *names(THREADS + 1))
    broken = []
    for name in names(THREADS + 1):
        envelope = json.loads(client.rpop("lifecycle"))  # type: ignore[arg-type]
        envelope["body"] = base64.b64encode(f'[[], {{"charger_id": "{name}"}}, 5]'.encode()).decode()
        broken.append(json.dumps(envelope))

    with worker(app):
        client.lpush("lifecycle", *broken)
        publish(app, "dep-2")
        wait_until(lambda: work.taken)

    assert work.taken == ["dep-2"]


def test_one_entry_that_is_no_message_does_not_take_others_with_it(
    app: Celery, client: redis.Redis, work: Work
) -> None:
    publish(app, *names(8))
    client.rpoplpush("lifecycle", "lifecycle")
    client.linsert("lifecycle", "BEFORE", client.lindex("lifecycle", 4), "{}")  # type: ignore[arg-type]

    with worker(app):
        wait_until(lambda: len(work.taken) == 8)

    assert sorted(work.taken) == names(8)


def test_a_lone_message_does_not_wait_for_others(app: Celery, client: redis.Redis, work: Work) -> None:
    with worker(app):
        for number, name in enumerate(names(5), start=1):
            publish(app, name)
            wait_until(lambda expected=number: len(work.taken) == expected)  # type: ignore[misc]

    assert work.taken == names(5)
