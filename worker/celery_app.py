"""The Celery app: `celery -A worker.celery_app worker`, `beat` and `flower` load this module."""

import logging
from typing import Any

from celery import Celery
from celery.signals import setup_logging
from celery.worker.consumer import Consumer

from shared.broker import make_celery
from shared.log_setup import configure_logging
from shared.queues import QUEUE_OF, Queue, TaskName
from shared.settings import Settings, load_settings
from worker.pool import HANGING
from worker.quarantine import put_aside

# A line or two per message, twice a second: Flower shows those, and our own lines the state changes.
CHATTY = ("botocore", "celery.app.trace", "celery.beat", "celery.worker.strategy")

RECONNECT_MAX_S = 2  # Celery's own is 30: too long for people who wait for the broker's return


class PatientConsumer(Consumer):
    """Celery's consumer: it tries sooner to reach the broker again, and looks at what is there first."""

    def connect(self) -> Any:
        """Also after each loss of the connection, which may have put back what caused it."""
        connection = super().connect()
        channel: Any = connection.default_channel  # kombu.transport.redis.Channel
        if connection.transport.driver_type == "redis":
            keys = (
                f"{queue}{channel.sep}{priority}" if priority else queue.value
                for queue in Queue
                for priority in channel.priority_steps
            )
            put_aside(channel.client, keys)
        return connection

    def ensure_connected(self, conn: Any) -> Any:
        ensure = conn.ensure_connection

        def ensure_connection(*args: Any, **kwargs: Any) -> Any:
            return ensure(
                *args, interval_start=0.2, interval_step=0.5, interval_max=RECONNECT_MAX_S, **kwargs
            )

        conn.ensure_connection = ensure_connection
        return super().ensure_connected(conn)


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """What runs by itself. A beat that nobody took in time expires: the next one does its work."""
    timing = settings.timing
    every_s = {
        TaskName.SWEEP: timing.sweep_every_s,
        TaskName.OBSERVE: timing.observe_every_s,
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
    settings = load_settings()
    app = make_celery(settings.broker_url, publisher=False)
    app.conf.update(
        include=["worker.tasks"],
        worker_consumer=f"{__name__}:PatientConsumer",
        beat_schedule=beat_schedule(settings),
        beat_max_loop_interval=5,
        # Acknowledged after the work: a repeat is safe, a loss is not.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        # One message for each task that may be under way at once, slow ones included.
        worker_pool="worker.pool:TaskPool",
        worker_prefetch_multiplier=1 + HANGING,
        worker_enable_prefetch_count_reduction=False,
        # A thread cannot be interrupted; what it held is delivered again and does no harm.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # Events of every task take an eighth of a worker's time; Flower asks for them while it runs.
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
    )
    return app


@setup_logging.connect
def _set_up_logging(**_: object) -> None:
    settings = load_settings()
    configure_logging(log_format=settings.log_format, log_level=settings.log_level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


app = _make_app()
