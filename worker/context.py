"""What a worker process needs, made once and on first use."""

import gc
import threading
from dataclasses import dataclass
from functools import cache

from shared.database import Sessions, make_engine
from shared.settings import Settings, load_settings
from worker.budget import Budget
from worker.ecs import EcsClient
from worker.logs import LogsClient


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    sessions: Sessions
    ecs: EcsClient
    logs: LogsClient


_making = threading.Lock()


def context() -> Context:
    """The process's one context: clients and pools are safe to share between threads."""
    with _making:  # the first tasks come all at once, and a boto3 client takes 10 MB
        return _context()


@cache
def _context() -> Context:
    settings = load_settings()
    # A thread never holds more than one connection, and never over an AWS call. Those whose calls hang are not
    # counted: when many of them end at once, they wait their turn.
    engine = make_engine(settings.database_url, pool_size=settings.ecs.max_connections + 2)
    ecs = EcsClient(settings.ecs, Budget(settings.budget))
    made = Context(settings, Sessions(engine), ecs, LogsClient(settings.ecs))
    gc.freeze()  # a collection that goes through all of botocore stops every thread for 0.1 s
    return made
