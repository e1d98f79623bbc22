"""Make the Celery app. `celery -A worker.celery_app worker`, `beat` and `flower` load this module."""

import sys

import click
from celery import Celery
from celery.signals import setup_logging
from click.core import ParameterSource

from shared.broker.app import make_celery
from shared.settings import SettingsError
from shared.startup.checks import exit_with, settings_or_exit
from shared.startup.environment import hand_secrets_to_flower
from worker.startup.log_lines import set_up_logging

INSTEAD_OF_OPTIONS = {
    "broker": "REDIS_URL or BROKER_URL names the broker",
    "result_backend": "results are rows of the database",
    "loader": "all settings are variables",
    "config": "all settings are variables",
}


def check_celery_options() -> None:
    """Raise SettingsError for an option before the subcommand that names another broker, loader or configuration.

    Celery passes these on in the environment, and shared/startup/strays.py removes them there.
    """
    command = click.get_current_context(silent=True)
    for option, instead in INSTEAD_OF_OPTIONS.items():
        if command and command.get_parameter_source(option) is ParameterSource.COMMANDLINE:
            raise SettingsError(f"--{option.replace('_', '-')} has no effect: {instead}")


def _make_app() -> Celery:
    try:
        check_celery_options()
        settings = settings_or_exit()
        # Imported after the settings are read: psycopg reads variables when it is imported.
        from worker.broker.beat import beat_schedule  # noqa: PLC0415
        from worker.ecs.budget import quotas  # noqa: PLC0415

        quotas(settings.budget)
        if "flower" in sys.argv[1:]:  # Celery loads this module before it parses its subcommand
            from worker.startup.flower_options import check_flower_options  # noqa: PLC0415 - Flower takes 20 MB

            check_flower_options(hand_secrets_to_flower())
    except SettingsError as error:
        exit_with(error)
    app = make_celery(settings.broker_url, publisher=False)
    app.events_cls = "worker.broker.events:Events"
    app.conf.update(
        include=["worker.tasks", "worker.broker.control", "worker.startup.checks", "worker.reports.reporter"],
        worker_consumer="worker.broker.consumer:ReconnectingConsumer",
        beat_schedule=beat_schedule(settings),
        beat_scheduler="worker.broker.beat:Scheduler",
        beat_schedule_filename="",
        # Acknowledged after the work, so one message for each thread: see worker/broker/pool.py.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_pool="worker.broker.pool:TaskPool",
        worker_concurrency=settings.ecs.max_connections,
        worker_prefetch_multiplier=1,
        worker_enable_prefetch_count_reduction=False,
        # A thread cannot be interrupted: it finishes its task.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        # Also while Flower does not run: a task's events take 0.06 ms, and Flower enables them too late.
        worker_send_task_events=True,
        worker_hijack_root_logger=False,
    )
    return app


setup_logging.connect(set_up_logging)
app = _make_app()
