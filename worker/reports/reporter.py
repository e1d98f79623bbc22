"""Reports what this worker does, from a thread of its own, from its first message until its end."""

import os
import socket
import threading
from importlib.metadata import version
from time import monotonic
from typing import Any

from celery.signals import worker_ready, worker_shutdown

from shared.operations.processes import REPORT_EVERY_S
from worker.outage_log import OutageLog
from worker.reports.facts import EcsFacts, celery_facts
from worker.reports.row import delete_row, write_row
from worker.resources import Resources, resources

END_WITHIN_S = 3.0  # for the row to be deleted, when the database does not answer


class Reporter:
    """The thread of one worker process."""

    def __init__(self, process: Resources, consumer: Any) -> None:
        self._process = process
        self._consumer = consumer
        self._started_at = monotonic()
        self._ecs = EcsFacts(process.ecs, process.budget)
        # Whatever goes wrong, the next report may succeed; a thread that ended would make a living worker seem dead.
        self._outage = OutageLog("report", Exception)
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="report", daemon=True)
        self._identity = {"name": consumer.hostname, "host": socket.gethostname(), "pid": os.getpid()}

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        """Delete the row, and end the thread, within END_WITHIN_S."""
        self._end.set()
        self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        written = False
        while True:
            with self._outage.suppress():
                self._report(is_first=not written)
                written = True
            if self._end.wait(REPORT_EVERY_S):
                break
        with self._outage.suppress():
            delete_row(self._process.sessions, **self._identity)

    def _report(self, *, is_first: bool) -> None:
        write_row(
            self._process.sessions,
            {
                **self._identity,
                "version": version("chargehand"),
                **celery_facts(self._consumer),
                **self._ecs.columns(),
            },
            uptime_s=monotonic() - self._started_at,
            is_first=is_first,
        )


_reporters: list[Reporter] = []


@worker_ready.connect
def start_reporting(sender: Any, **_: object) -> None:
    """Celery calls this once, when the worker takes its first messages."""
    reporter = Reporter(resources(), sender)
    reporter.start()
    _reporters.append(reporter)


@worker_shutdown.connect
def end_reporting(**_: object) -> None:
    """Celery calls this when all tasks have ended."""
    while _reporters:
        _reporters.pop().end()
