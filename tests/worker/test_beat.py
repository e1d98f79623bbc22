"""Beats do not pile up while nobody takes them."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery

from embedded.ports import free_port
from embedded.process import running
from embedded.redis import prepare_redis, running_redis
from shared.broker import make_celery
from shared.queues import TaskName
from tests.embedded.waiting import wait_until
from worker.beat import MOST_WAITING, Scheduler


@pytest.fixture
def own_redis_url(tmp_path: Path) -> Iterator[str]:
    with running_redis(tmp_path) as url:
        yield url


@pytest.fixture
def app(own_redis_url: str) -> Iterator[Celery]:
    app = app_of(own_redis_url, TaskName.SWEEP, 0.001)
    yield app
    app.close()


def app_of(url: str, task: TaskName, every_s: float) -> Celery:
    """An app whose beat sends the task."""
    app = make_celery(url, publisher=True)
    options = {"queue": "maintenance", "ignore_result": True}
    app.conf.beat_schedule = {task.value: {"task": task.value, "schedule": every_s, "options": options}}
    return app


def test_beats_wait_in_bounded_number_and_go_on_when_they_are_taken(
    app: Celery, own_redis_url: str, tmp_path: Path
) -> None:
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"))
    with redis.Redis.from_url(own_redis_url) as client:

        def tick_until(waiting: int) -> None:
            wait_until(lambda: [scheduler.tick()] and client.llen("maintenance") == waiting)

        tick_until(MOST_WAITING)
        for _ in range(30):
            scheduler.tick()
        unserved = client.llen("maintenance")
        client.delete("maintenance")
        tick_until(MOST_WAITING)
    scheduler.close()

    assert unserved == MOST_WAITING


def test_beat_goes_on_when_a_broker_that_was_away_is_back(tmp_path: Path) -> None:
    server = prepare_redis(tmp_path, free_port())
    app = app_of(server.url, TaskName.SWEEP, 0.001)
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"))
    with running(server.program, tmp_path / "redis.log"):
        scheduler.tick()
    scheduler.tick()
    with running(server.program, tmp_path / "redis.log"), redis.Redis.from_url(server.url) as client:
        client.delete("maintenance")

        wait_until(lambda: [scheduler.tick()] and client.llen("maintenance") == MOST_WAITING)
    scheduler.close()
    app.close()


def test_a_beat_that_comes_once_an_hour_is_sent_when_a_pause_ends(
    app: Celery, own_redis_url: str, tmp_path: Path
) -> None:
    sweep, clean_up = TaskName.SWEEP.value, TaskName.CLEAN_UP.value
    app.conf.beat_schedule |= {clean_up: app.conf.beat_schedule[sweep] | {"task": clean_up, "schedule": 3600}}
    scheduler = Scheduler(app, schedule_filename=str(tmp_path / "schedule"))
    with redis.Redis.from_url(own_redis_url) as client:

        def sent(task: str) -> bool:
            return any(task.encode() in message for message in client.lrange("maintenance", 0, -1))

        wait_until(lambda: [scheduler.tick()] and client.llen("maintenance") == MOST_WAITING)
        scheduler.schedule[clean_up].last_run_at = app.now() - timedelta(hours=1)
        scheduler.populate_heap()
        for _ in range(30):
            scheduler.tick()
        during_pause = sent(clean_up)
        client.delete("maintenance")
        wait_until(lambda: [scheduler.tick()] and sent(clean_up))
    scheduler.close()

    assert not during_pause
