"""Set up a worker's log, without the chatty lines of Celery and botocore."""

import logging

from shared.startup.environment import load_settings
from shared.startup.log_setup import configure_logging

# They write a line or two per message; Flower shows the messages, and our own lines the changes of state.
CHATTY = ("botocore", "celery.app.trace", "celery.beat", "celery.worker.strategy")


def set_up_logging(**_: object) -> None:
    """Configure logging by LOG_FORMAT and LOG_LEVEL. Safe to repeat."""
    settings = load_settings()
    configure_logging(log_format=settings.log_format, log_level=settings.log_level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
