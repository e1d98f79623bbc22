"""Structured logs on standard error: JSON lines in production, a readable console embedded.

Log lines of libraries are formatted the same way. Context that is bound once (a request id, a charger)
is in every later line of that request or task.
"""

import logging
import sys
from typing import Any

import orjson
import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import EventDict, Processor, WrappedLogger

_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
# Local variables stay out, on a terminal too: tokens and passwords are among them, and rich takes minutes for large ones.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))

#: Each control character as Unicode's picture of it.
_PICTURES = {code: 0x2400 + code for code in range(0x20)} | dict.fromkeys(range(127, 160), 65533)


def configure_logging(*, log_format: str, log_level: str) -> None:
    """Send all logs of this process to standard error. log_format is json or console; safe to repeat."""
    level = logging.getLevelNamesMapping().get(log_level, logging.INFO)
    structlog.configure(
        processors=[*_SHARED, *_render(log_format)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(make_formatter(log_format))
    logging.basicConfig(handlers=[handler], level=level, force=True)
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)  # a line per plugin, on import


def make_formatter(log_format: str) -> logging.Formatter:
    """The formatter for libraries that use the standard logging module."""
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_render(log_format)],
    )


def _render(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [_TRACEBACKS, structlog.processors.JSONRenderer(serializer=_to_json)]
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return [_show_controls, console]


def _to_json(event: EventDict, default: Any, **_: Any) -> str:
    return orjson.dumps(event, default=default).decode()


def _show_controls(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace control characters, so that a client's text forges no line and sends no terminal codes."""
    return {
        name: value.translate(_PICTURES) if isinstance(value, str) else value for name, value in event.items()
    }
