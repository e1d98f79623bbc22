"""Beat goes on whatever a clock does, and its messages do not pile up while nobody takes them."""

import json
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
import structlog
from celery.beat import Service

from embedded.ports import free_port
from embedded.process import running
from embedded.redis import prepare_redis, running_redis
from shared.broker.app import make_celery
from shared.queues import QUEUE_OF, Queue, TaskName
from shared.settings import Settings
from tests.support.waiting import wait_until
from worker.broker.beat import Scheduler, beat_schedule

QUICK = 0.001  # seconds
TASKS = sorted(task for task, queue in QUEUE_OF.items() if queue is Queue.MAINTENANCE)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator["redis.Redis"]:
    """A Redis of the test's own."""
    with running_redis(tmp_path) as url, redis.Redis.from_url(url) as client:
        yield client


def url_of(broker: "redis.Redis") -> str:
    address = broker.get_connection_kwargs()
    return (
        f"redis://:{address.get('password') or ''}@{address['host']}:{address['port']}/{address.get('db', 0)}"
    )


def scheduler_of(url: str, every_s: dict[TaskName, float]) -> Scheduler:
    app = make_celery(url, publisher=True)
    app.conf.beat_schedule = {
        task.value: {"task": task.value, "schedule": period} for task, period in every_s.items()
    }
    return Scheduler(app)


@pytest.fixture
def scheduler(broker: "redis.Redis") -> Iterator[Scheduler]:
    """All tasks of the maintenance, one of them hourly and the others again and again."""
    scheduler = scheduler_of(url_of(broker), {**dict.fromkeys(TASKS, QUICK), TaskName.CLEAN_UP: 3600})
    yield scheduler
    scheduler.close()


def waiting(broker: "redis.Redis") -> list[str]:
    """The tasks whose messages nobody has taken."""
    messages = [json.loads(raw) for raw in broker.lrange(Queue.MAINTENANCE.value, 0, -1)]
    return sorted(message["headers"]["task"] for message in messages)


def tick(scheduler: Scheduler, times: int) -> None:
    for _ in range(times):
        time.sleep(min(scheduler.tick(), 2 * QUICK))


def test_one_message_of_each_task_waits_at_most_and_all_are_sent_again_when_they_were_taken(
    scheduler: Scheduler, broker: "redis.Redis"
) -> None:
    tick(scheduler, 30)
    unserved = waiting(broker)
    broker.delete(Queue.MAINTENANCE.value)
    wait_until(lambda: [scheduler.tick()] and len(waiting(broker)) == len(TASKS) - 1)

    assert unserved == TASKS
    assert waiting(broker) == [task for task in TASKS if task != TaskName.CLEAN_UP]


def test_a_beat_that_starts_adds_nothing_to_what_waits_already(
    scheduler: Scheduler, broker: "redis.Redis"
) -> None:
    tick(scheduler, 3)
    before = waiting(broker)
    successor = scheduler_of(url_of(broker), dict.fromkeys(TaskName, QUICK))

    tick(successor, 30)
    successor.close()

    assert waiting(broker) == before


def test_an_hourly_task_that_was_held_back_is_sent_as_soon_as_the_queue_is_served(
    broker: "redis.Redis",
) -> None:
    broker.lpush(Queue.MAINTENANCE.value, "what an earlier beat sent")
    scheduler = scheduler_of(url_of(broker), {TaskName.CLEAN_UP: 3600})
    tick(scheduler, 3)
    held_back = broker.llen(Queue.MAINTENANCE.value)
    broker.delete(Queue.MAINTENANCE.value)

    wait_until(lambda: [scheduler.tick()] and waiting(broker) == ["maintenance.clean_up"])
    scheduler.close()

    assert held_back == 1


def test_beat_goes_on_when_a_broker_that_was_away_is_back(tmp_path: Path) -> None:
    server = prepare_redis(tmp_path, free_port())
    scheduler = scheduler_of(server.url, {TaskName.SWEEP: QUICK})
    with running(server.program, tmp_path / "redis.log"):
        scheduler.tick()
    tick(scheduler, 2)
    with running(server.program, tmp_path / "redis.log"), redis.Redis.from_url(server.url) as client:
        client.delete(Queue.MAINTENANCE.value)

        wait_until(lambda: [scheduler.tick()] and waiting(client) == ["maintenance.sweep"])
    scheduler.close()


@pytest.mark.parametrize(
    ("refuse", "take_again"),
    [
        (lambda client: client.replicaof("127.0.0.1", 1), lambda client: client.replicaof("NO", "ONE")),
        (lambda client: client.config_set("maxmemory", 1), lambda client: client.config_set("maxmemory", 0)),
    ],
    ids=["a replica", "full"],
)
def test_beat_goes_on_when_a_broker_that_refused_takes_messages_again(
    refuse: Callable[["redis.Redis"], Any], take_again: Callable[["redis.Redis"], Any], broker: "redis.Redis"
) -> None:
    scheduler = scheduler_of(url_of(broker), {TaskName.SWEEP: QUICK})
    refuse(broker)
    with structlog.testing.capture_logs() as lines:
        tick(scheduler, 5)
        take_again(broker)
        wait_until(lambda: [scheduler.tick()] and waiting(broker) == ["maintenance.sweep"])
    scheduler.close()

    assert [line["event"] for line in lines] == ["broker.away", "broker.back"]


@pytest.mark.parametrize("days", [-1, 1], ids=["back", "ahead"])
def test_beat_goes_on_when_the_clock_is_put(
    days: int, broker: "redis.Redis", monkeypatch: pytest.MonkeyPatch
) -> None:
    scheduler = scheduler_of(url_of(broker), {TaskName.SWEEP: QUICK})
    tick(scheduler, 2)
    shift_s = timedelta(days=days).total_seconds()
    wall_clock = time.time
    now = scheduler.app.now
    monkeypatch.setattr(time, "time", lambda: wall_clock() + shift_s)
    monkeypatch.setattr(scheduler.app, "now", lambda: now() + timedelta(days=days))
    broker.delete(Queue.MAINTENANCE.value)

    wait_until(lambda: [scheduler.tick()] and waiting(broker) == ["maintenance.sweep"])
    next_s = scheduler.tick()
    scheduler.close()

    assert next_s <= QUICK


def test_beat_remembers_nothing_over_its_end(broker: "redis.Redis", tmp_path: Path) -> None:
    """So a clock that was once ahead cannot keep it from anything, and the hourly task comes at each start."""
    app = make_celery(url_of(broker), publisher=True)
    app.conf.beat_schedule = {"clean": {"task": TaskName.CLEAN_UP.value, "schedule": 3600}}
    for _ in range(2):
        broker.delete(Queue.MAINTENANCE.value)
        service = Service(app, scheduler_cls=Scheduler, schedule_filename=str(tmp_path / "beat"))
        service.scheduler.tick()
        sent = waiting(broker)
        service.scheduler.close()

        assert sent == ["maintenance.clean_up"]
    assert (tmp_path / "beat").read_bytes() == b""
    app.close()


def test_no_message_of_beat_expires(broker: "redis.Redis", settings: Settings) -> None:
    """The time would be beat's, and compared with the clock of a worker's host."""
    app = make_celery(url_of(broker), publisher=True)
    app.conf.beat_schedule = beat_schedule(settings)
    scheduler = Scheduler(app)
    scheduler.tick()
    sent = [json.loads(raw)["headers"]["expires"] for raw in broker.lrange(Queue.MAINTENANCE.value, 0, -1)]
    scheduler.close()
    app.close()

    assert sent == [None] * len(TASKS)
