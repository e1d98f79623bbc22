"""How a worker takes messages off a Redis queue: many at a time, and as soon as it has room for them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker

from embedded.redis import running_redis
from shared.broker import make_celery, send
from shared.queues import TaskName, message
from tests.embedded.waiting import wait_until

SLOTS = 4
PLACES = 4 * SLOTS


class Work:
    """The task's body: counts, and holds on until it is let go."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.now = 0
        self.most = 0
        self.holds = threading.Event()
        self.holds.set()
        self._lock = threading.Lock()

    def __call__(self, *, charger_id: str, **_: object) -> None:
        with self._lock:
            self.taken.append(charger_id)
            self.now += 1
            self.most = max(self.most, self.now)
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
        worker_consumer="worker.consumer:PatientConsumer",
        worker_prefetch_multiplier=4,
    )
    yield app
    app.close()


@pytest.fixture
def work(app: Celery) -> Work:
    work = Work()
    app.task(name=TaskName.STOP.value, shared=False)(work.__call__)  # no other app may have it
    return work


def worker(app: Celery) -> Any:
    return start_worker(app, pool="worker.pool:TaskPool", concurrency=SLOTS, perform_ping_check=False)


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


def test_a_backlog_is_taken_in_order_and_many_at_a_time(app: Celery, client: redis.Redis, work: Work) -> None:
    """The loop sleeps up to a second when nobody wakes it: a worker that is full must be told of its room."""
    publish(app, *names(800))
    client.config_resetstat()

    with worker(app):
        wait_until(lambda: len(work.taken) == 800, within_s=20)
        calls = client.info("commandstats")

    assert sorted(work.taken) == names(800)
    assert work.taken[:SLOTS] == names(SLOTS)
    assert work.most <= SLOTS
    round_trips = calls["cmdstat_brpop"]["calls"] + calls["cmdstat_rpop"]["calls"]
    assert round_trips < 600  # three for each message, as kombu does it
    assert "cmdstat_hdel" not in calls, "what is taken is noted in Redis again"


def test_a_worker_takes_no_more_than_it_has_places_for(app: Celery, client: redis.Redis, work: Work) -> None:
    work.holds.clear()
    publish(app, *names(3 * PLACES))

    with worker(app):
        wait_until(lambda: client.llen("lifecycle") <= 2 * PLACES)
        threading.Event().wait(0.3)  # time enough for more of them
        left = client.llen("lifecycle")
        work.holds.set()
        wait_until(lambda: len(work.taken) == 3 * PLACES)

    assert left == 2 * PLACES


def test_a_lone_message_does_not_wait_for_others(app: Celery, client: redis.Redis, work: Work) -> None:
    with worker(app):
        for number, name in enumerate(names(5), start=1):
            publish(app, name)
            wait_until(lambda expected=number: len(work.taken) == expected)  # type: ignore[misc]

    assert work.taken == names(5)


def test_who_hangs_leaves_places_for_others(app: Celery, work: Work) -> None:
    """All places but a slot's worth are taken for good, and messages go on through the rest."""
    with app.connection_for_read() as connection:
        channel: Any = connection.default_channel
        qos = channel.qos
        qos.prefetch_count = PLACES
        for tag in range(PLACES):
            qos.append(object(), str(tag))
        full = qos.can_consume()
        for tag in range(SLOTS - 1):
            qos.ack(str(tag))
        almost = qos.can_consume()
        qos.ack(str(SLOTS - 1))
        with_a_quarter = qos.can_consume()
        qos.append(object(), "one more")
        still = qos.can_consume()

    assert (full, almost, with_a_quarter, still) == (False, False, True, True)
