"""Beats do not pile up while nobody takes them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from celery import Celery

from embedded.redis import running_redis
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
    app = make_celery(own_redis_url, publisher=True)
    task = TaskName.SWEEP.value
    app.conf.beat_schedule = {
        task: {"task": task, "schedule": 0.001, "options": {"queue": "maintenance", "ignore_result": True}}
    }
    yield app
    app.close()


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
