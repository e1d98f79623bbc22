"""The Celery app: `celery -A worker.celery_app worker`, `beat` and `flower` load this module."""

import sys
from typing import Any

from celery import Celery
from celery.signals import setup_logging

from shared.broker import make_celery
from shared.queues import QUEUE_OF, TaskName
from shared.settings import Settings, SettingsError, hand_secrets_to_flower
from shared.starting import exit_with, settings_or_exit
from worker.budget import quotas
from worker.log_lines import set_up_logging
from worker.pool import HANGING

ROLLOUTS_EVERY_S = 5.0


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What runs by itself. A beat that nobody took in time expires: the next one does its work."""
    timing = settings.timing
    every_s = {
        TaskName.SWEEP: timing.sweep_every_s,
        TaskName.OBSERVE: timing.observe_every_s,
        TaskName.ROLLOUTS: ROLLOUTS_EVERY_S,
        TaskName.READ_LOGS: timing.logs_every_s,
        TaskName.CLEAN_UP: 3600.0,
    }
    return {
        task.value: {
            "task": task.value,
            "schedule": seconds,
            "options": {"queue": QUEUE_OF[task].value, "expires": max(seconds, 1.0), "ignore_result": True},
        }
        for task, seconds in every_s.items()
    }


def _make_app() -> Celery:
    settings = settings_or_exit()
    try:
        quotas(settings.budget)
        if "flower" in sys.argv[1:]:  # Celery loads this module before it knows its subcommand
            hand_secrets_to_flower()
    except SettingsError as error:
        exit_with(error)
    app = make_celery(settings.broker_url, publisher=False)
    app.events_cls = "worker.events:Events"
    app.conf.update(
        include=["worker.tasks", "worker.control", "worker.start"],
        worker_consumer="worker.consumer:PatientConsumer",
        beat_schedule=beat_schedule(settings),
        beat_scheduler="worker.beat:Scheduler",
        beat_max_loop_interval=5,
        # Acknowledged after the work: until then it holds one of the places below.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # One message for each task that may be under way at once, slow ones included.
        worker_pool="worker.pool:TaskPool",
        worker_concurrency=settings.ecs.max_connections,
        worker_prefetch_multiplier=1 + HANGING,
        worker_enable_prefetch_count_reduction=False,
        # A thread cannot be interrupted: it ends what it is at.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Also while no Flower runs: the events of a task take 0.06 ms, and Flower enables them too late.
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
    )
    return app


setup_logging.connect(set_up_logging)
app = _make_app()
