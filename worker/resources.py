"""Make what a worker process needs: settings, connections and AWS clients, once and on first use."""

import gc
import threading
from dataclasses import dataclass, replace

from sqlalchemy import Engine

from shared.database.engine import Sessions, make_engine
from shared.settings import Settings
from shared.startup.environment import load_settings
from worker.ecs.aws_settings import refused_in_one_line, with_region
from worker.ecs.budget import Budget
from worker.ecs.client import EcsClient
from worker.hosts.hints import Hints
from worker.hosts.hosting import Hosting
from worker.logs.client import LogsClient

THREADS_PER_CONNECTION = 2  #: to the database


@dataclass(frozen=True, slots=True)
class Resources:
    """Live as long as the process, and are safe to share between its threads."""

    settings: Settings
    sessions: Sessions  #: its pool of connections is replaced when the pool of threads is resized
    ecs: EcsClient
    budget: Budget
    logs: LogsClient
    hosting: Hosting


class Process:
    """Holds the process's resources. The database's pool follows the pool of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # the first tasks come at the same time, and a boto3 client takes 10 MB
        self._resources: Resources | None = None
        self._threads: int | None = None  #: None until the pool reports it: WORKER_CONCURRENCY

    def resources(self) -> Resources:
        """The process's one set of resources, made by the first call. Raises SettingsError."""
        with self._lock:
            if self._resources is None:
                self._resources = self._make()
            return self._resources

    def fit(self, threads: int) -> None:
        """Have database connections for so many threads. Running tasks keep theirs.

        AWS clients are not made anew: their pools have room for the largest pool.
        """
        with self._lock:
            changed, self._threads = threads != self._threads, threads
            if self._resources is not None and changed:
                self._resources.sessions.use(_engine(self._resources.settings, threads))

    def _make(self) -> Resources:
        settings = load_settings()
        settings = replace(settings, ecs=with_region(settings.ecs))
        self._threads = self._threads or settings.ecs.max_connections
        clients = replace(settings.ecs, max_connections=self._threads)
        budget = Budget(settings.budget)
        with refused_in_one_line():
            ecs = EcsClient(clients, budget)
            logs = LogsClient(clients, max_bytes_per_day=settings.log_bytes_per_organization)
        hosting = Hosting(settings.host_capacity, Hints(settings.redis_url))
        made = Resources(settings, Sessions(_engine(settings, self._threads)), ecs, budget, logs, hosting)
        gc.freeze()  # a garbage collection of all of botocore would stop every thread for 0.1 s
        return made


def _engine(settings: Settings, threads: int) -> Engine:
    # A thread holds a connection for some milliseconds at a time, and never during an AWS call.
    return make_engine(settings.database_url, pool_size=threads // THREADS_PER_CONNECTION + 2)


_process = Process()
resources = _process.resources
fit = _process.fit
