"""The least that Celery does to hand work over: what Reach is compared with. The task notes when it started."""

import os
from time import monotonic

import redis
from celery import Celery

STARTED = "bench:started"

app = Celery("bare", broker=os.environ["REDIS_URL"])
app.conf.update(task_ignore_result=True, task_default_queue="bare", worker_hijack_root_logger=False)
_notes = redis.Redis.from_url(os.environ["REDIS_URL"])


@app.task(name="bench.note")
def note(number: int) -> None:
    started_at = monotonic()
    _notes.hset(STARTED, str(number), str(started_at))
