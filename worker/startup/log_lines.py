"""What of Celery's and botocore's log lines a worker writes."""

import logging

from shared.startup.environment import load_settings
from shared.startup.log_setup import configure_logging

# A line or two per message, twice a second: Flower shows those, and our own lines the state changes.
CHATTY = ("botocore", "celery.app.trace", "celery.beat", "celery.worker.strategy")


def set_up_logging(**_: object) -> None:
    """As LOG_FORMAT and LOG_LEVEL say. Safe to repeat."""
    settings = load_settings()
    configure_logging(log_format=settings.log_format, log_level=settings.log_level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
