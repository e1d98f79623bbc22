"""The least that Celery does to start a task, for comparison with Reach. The task records when it started."""

import os
from time import monotonic

import redis
from celery import Celery

STARTED_KEY = "bench:started"

app = Celery("handover", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, task_default_queue="handover", worker_hijack_root_logger=False)
_redis = redis.Redis.from_url(os.environ["REDIS_URL"])


@app.task(name="bench.record_start")
def record_start(number: int) -> None:
    started_at = monotonic()
    _redis.hset(STARTED_KEY, str(number), str(started_at))
