"""What a worker sends to Flower: every task's events, whatever happens to the broker meanwhile."""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import redis
from celery import Celery
from celery.contrib.testing.worker import start_worker
from celery.events.receiver import EventReceiver

import worker.broker.consumer
import worker.broker.events
from embedded.ports import HOST, free_port
from embedded.redis import running_redis
from shared.broker.app import make_celery, send
from shared.queues import TaskName, message
from tests.support.waiting import wait_until
from worker.broker.events import Dispatcher

SLOTS = 16
LIFE = ["task-received", "task-started", "task-succeeded"]


@pytest.fixture
def own_redis_url(tmp_path: Path) -> Iterator[str]:
    with running_redis(tmp_path) as url:
        yield url


@pytest.fixture
def app(own_redis_url: str) -> Iterator[Celery]:
    """As worker.celery_app makes it, but for what the task does."""
    app = make_celery(own_redis_url, publisher=False)
    app.events_cls = "worker.broker.events:Events"
    app.conf.update(
        task_acks_late=True,
        worker_consumer="worker.broker.consumer:ReconnectingConsumer",
        worker_prefetch_multiplier=1,
        worker_send_task_events=True,
    )
    yield app
    app.close()


class Work:
    """The task's body: over at once, or when it is let go."""

    def __init__(self) -> None:
        self.begun = 0
        self.holds = threading.Event()
        self.holds.set()

    def __call__(self, **_: object) -> None:
        self.begun += 1
        self.holds.wait(30)


@pytest.fixture(autouse=True)
def work(app: Celery) -> Work:
    work = Work()
    app.task(name=TaskName.STOP.value, shared=False)(work.__call__)  # no other app may have it
    return work


@pytest.fixture
def client(own_redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(own_redis_url) as client:
        yield client


class Seen:
    """As Flower listens: the events of each task, in the order in which they came."""

    def __init__(self) -> None:
        self.of: dict[str, list[str]] = defaultdict(list)
        self.ended = 0

    def __call__(self, event: dict[str, Any]) -> None:
        self.of[event["uuid"]].append(event["type"])
        self.ended += event["type"] == "task-succeeded"


@contextmanager
def listening(app: Celery, client: redis.Redis) -> Iterator[Seen]:
    seen = Seen()
    with app.connection_for_read() as connection:
        receiver = EventReceiver(connection, handlers=dict.fromkeys(LIFE, seen), app=app)
        thread = threading.Thread(target=receiver.capture, kwargs={"wakeup": False})
        thread.start()
        wait_until(lambda: client.pubsub_numpat() or client.pubsub_channels())
        try:
            yield seen
        finally:
            receiver.should_stop = True
            thread.join()


def publish(app: Celery, count: int) -> None:
    hint = message(
        charger_id="dep-1", command_id=None, event_type="stop_charger", generation=1, desired_count=0
    )
    send(app, [(TaskName.STOP, hint)] * count)


def running_worker(app: Celery) -> Any:
    return start_worker(app, pool="worker.broker.pool:TaskPool", concurrency=SLOTS, perform_ping_check=False)


def test_every_event_of_a_burst_arrives(app: Celery, client: redis.Redis) -> None:
    with listening(app, client) as seen, running_worker(app):
        publish(app, 1_000)
        wait_until(lambda: seen.ended == 1_000, within_s=20)

    assert {tuple(events) for events in seen.of.values()} == {tuple(LIFE)}


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of a setting that we have set
def test_tasks_that_outlive_their_connection_are_shown_to_their_end(
    app: Celery, client: redis.Redis, work: Work
) -> None:
    with listening(app, client) as seen:
        listeners = clients(client)
        with running_worker(app):
            work.holds.clear()
            publish(app, SLOTS)
            wait_until(lambda: work.begun == SLOTS)
            lost = clients(client) - listeners
            for each in lost:
                client.client_kill_filter(_id=each)
            wait_until(lambda: waits_for_messages(client, but=lost | listeners))
            work.holds.set()
            wait_until(lambda: seen.ended == SLOTS)

    assert {tuple(events) for events in seen.of.values()} == {tuple(LIFE)}


def test_a_worker_that_ends_sends_what_it_has_not_sent_yet(
    app: Celery, client: redis.Redis, work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.broker.consumer, "FLUSH_EVERY_S", 60)

    def running() -> int:
        [tasks] = (app.control.inspect(timeout=5, limit=1).active() or {}).values()
        return len(tasks)

    with listening(app, client) as seen:
        with running_worker(app):
            publish(app, 5)
            wait_until(lambda: work.begun == 5 and running() == 0)
            before = seen.ended
        wait_until(lambda: seen.ended == 5)

    assert before == 0


def test_events_wait_for_a_broker_that_is_away_in_bounded_number(
    app: Celery, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.broker.events, "MAX_BUFFERED", 30)
    with listening(app, client) as seen, app.connection_for_write() as connection:
        away = app.connection_for_write(f"redis://{HOST}:{free_port()}/0")
        before = dispatcher(app, away)
        for number in range(40):
            before.send("task-started", uuid=str(number))
        before.flush()
        after = dispatcher(app, connection)
        after.extend_buffer(before)
        before.send("task-started", uuid="40")

        after.flush()
        wait_until(lambda: "40" in seen.of)

    assert list(seen.of) == [str(number) for number in range(11, 41)]


def dispatcher(app: Celery, connection: Any) -> Dispatcher:
    made = app.events.Dispatcher(connection, hostname="worker@here", buffer_group=["task"])
    assert isinstance(made, Dispatcher)
    return made


def clients(client: redis.Redis) -> set[str]:
    return {each["id"] for each in client.client_list()} - {str(client.client_id())}


def waits_for_messages(client: redis.Redis, *, but: set[str]) -> bool:
    return any(each["cmd"] == "brpop" and each["id"] not in but for each in client.client_list())
