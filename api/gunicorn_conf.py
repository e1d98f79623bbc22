"""How gunicorn serves the API: gunicorn -c python:api.gunicorn_conf api.wsgi:app

gevent, because a slow client or a waiting one then costs a greenlet and no worker. No preloading: gevent must
patch a process before it imports the app, and the arbiter must stay unpatched.
"""

import gc
import os
import resource
import shutil
from tempfile import mkdtemp
from typing import Any

import gevent
import gunicorn.glogging
import gunicorn.http.message

from shared.settings import SettingsError
from shared.startup.checks import exit_with, report_strays, settings_or_exit
from shared.startup.log_setup import configure_logging

SPARE_FILES = 200  # of a process, for its database, its broker, its log and its code


def possible_connections(wanted: int) -> int:
    """At most `wanted`, limited by the open files of the process, whose limit this raises as far as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = wanted + SPARE_FILES if hard == resource.RLIM_INFINITY else min(hard, wanted + SPARE_FILES)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(wanted, files - SPARE_FILES))


_settings = settings_or_exit(verifies_tokens=True)
if os.environ.get("GUNICORN_CMD_ARGS"):  # gunicorn has read it already, and it goes before this file
    exit_with(SettingsError("GUNICORN_CMD_ARGS must not be set: BIND and WEB_CONCURRENCY are settings"))
configure_logging(log_format=_settings.log_format, log_level=_settings.log_level)
report_strays()

#: Where the API processes share their metrics. prometheus_client finds it by this variable.
_metrics_folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="chargehand-metrics-")

bind = _settings.bind
workers = _settings.api_processes
worker_class = "api.server.ApiWorker"
worker_connections = possible_connections(2000)
preload_app = False
control_socket_disable = True
keepalive = max(1, _settings.keep_alive_s)  # with 0 gunicorn would wait for a head without a bound
timeout = 60  # seconds without a sign of life until a worker is replaced
graceful_timeout = 30  # seconds for requests that are under way
# A request may name a thousand chargers in its query, of 49 bytes each: `charger_ids=dep-<32 hex digits>&`. httpx, which the
# SDK uses, sends URLs of up to 64 KiB, too. gunicorn itself bounds the setting by a constant. What a client may hold is not
# more than before: the other lines of a head may be larger (limit_request_fields).
limit_request_line = gunicorn.http.message.MAX_REQUEST_LINE = 64 * 1024
limit_request_fields = 100
limit_request_field_size = 8190
proc_name = "chargehand-api"
# The API needs neither a client's address nor the scheme, so no header may change a path, a scheme or an address.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
os.environ.pop("SCRIPT_NAME", None)  # gunicorn would take every path's beginning from it


class _Logger(gunicorn.glogging.Logger):  # type: ignore[misc]  # gunicorn has no types
    # The app logs what happens to chargers, and /metrics counts requests. Without this, gunicorn makes a record
    # of each request as soon as it has a logging configuration of its own.
    access_log_enabled = False


logger_class = _Logger
logconfig_dict = {
    "root": {"level": _settings.log_level, "handlers": ["stderr"]},
    "loggers": {"gunicorn.error": {"level": "INFO", "handlers": [], "propagate": True}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "structured"}},
    "formatters": {
        "structured": {"()": "shared.startup.log_setup.make_formatter", "log_format": _settings.log_format}
    },
}


def post_worker_init(worker: Any) -> None:
    """After the fork and gevent's patches, and not before: so this import is here."""
    from api.live.metrics import report_gauges  # noqa: PLC0415

    gc.freeze()  # a collection that goes through all that is imported stops every request for 0.1 s
    resources = worker.wsgi.extensions["chargehand"]
    gevent.spawn(report_gauges, resources.gauges)
    gevent.spawn(_release_at_the_end, worker, resources)


def _release_at_the_end(worker: Any, resources: Any) -> None:
    """End waits and event streams as soon as the process has to stop, not at their time-outs."""
    while worker.alive:
        gevent.sleep(0.1)
    resources.watcher.close()
    resources.streams.close_all()
    resources.job_streams.close_all()
    resources.feed.close_all()
    worker.close_resting()


def worker_exit(_server: Any, worker: Any) -> None:
    """Hand what is committed to the broker, if it is there."""
    if worker.wsgi is not None:
        worker.wsgi.extensions["chargehand"].publisher.close()


def child_exit(_server: Any, worker: Any) -> None:
    """Remove the gauges of a process that ended."""
    from prometheus_client import multiprocess  # noqa: PLC0415  # looks for the folder when imported

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


def on_exit(_server: Any) -> None:
    """Remove what only this server used."""
    shutil.rmtree(_metrics_folder, ignore_errors=True)
