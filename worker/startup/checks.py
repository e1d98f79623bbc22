"""Check, before a worker takes a message, that it can work. If it cannot, it ends with one line and status 1."""

import sys
from collections.abc import Mapping
from pathlib import Path
from time import sleep
from typing import Any, NoReturn

import click
import structlog
from celery.platforms import EX_FAILURE
from celery.signals import celeryd_init
from celery.worker import state
from click.core import ParameterSource
from psycopg.errors import UndefinedTable
from sqlalchemy.exc import OperationalError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.database.connection import UnfitDatabase
from shared.database.engine import check_fit
from shared.fleet.installation import NotServices
from shared.queues import Queue
from shared.settings import SettingsError
from shared.startup.checks import report_strays
from worker.broker.pool import TaskPool
from worker.ecs.client import EcsUnavailable
from worker.outage_log import OutageLog
from worker.resources import fit, resources
from worker.startup.installation import Guard, WrongEcs
from worker.startup.log_lines import set_up_logging

log = structlog.get_logger(__name__)

DATABASE_AGAIN_S = 1.0  # between two tries to reach the database

#: Options of Celery for its pools of processes, and what to do instead.
NOT_FOR_THREADS = {
    "autoscale": "threads do not scale by themselves: grow the pool, or start another worker",
    "max_tasks_per_child": "there are no child processes: tasks run in threads",
    "max_memory_per_child": "there are no child processes: tasks run in threads",
    "time_limit": "a task in a thread cannot be interrupted: ECS_READ_TIMEOUT_SECONDS bounds each call to ECS",
    "soft_time_limit": "a task in a thread cannot be interrupted: ECS_READ_TIMEOUT_SECONDS bounds each call to ECS",
}


@celeryd_init.connect
def check(options: Mapping[str, Any], **_: object) -> None:
    """Run all checks. Celery calls this as soon as it has read the command line."""
    set_up_logging()
    report_strays()
    restart_as_module()
    check_options(options)
    try:
        check_installation()
    except SettingsError as error:
        end(str(error))


def restart_as_module() -> None:
    """Let SIGHUP restart a worker that runs as `python -m celery`: Celery starts the file that argv names."""
    if Path(sys.argv[0]).name == "__main__.py":
        sys.argv[:1] = ["-m", "celery"]


def check_installation() -> None:
    """Return when the database fits this worker and belongs to its ECS. Waits for a database that is not reachable."""
    guard = Guard(resources().sessions, resources().settings.ecs, resources().ecs)
    database = OutageLog("database", OperationalError, PoolTimeout)
    done = False
    while not done:
        with database.suppress():
            try:
                check_fit(resources().sessions.autocommit)
                guard.check_at_start()
            except (WrongEcs, NotServices) as error:
                end(str(error))
            except OperationalError as error:
                if isinstance(error.orig, UnfitDatabase):
                    end(str(error.orig))
                raise
            except ProgrammingError as error:
                if not isinstance(error.orig, UndefinedTable):
                    raise
                end("the database is older than this worker: run chargehand migrate")
            done = True
        if not done:
            sleep(DATABASE_AGAIN_S)
    resources().sessions.autocommit.dispose()  # -P processes forks: no connection may be shared with a child
    resources().ecs.check_before_changes(lambda: stop_if_wrong(guard))


def stop_if_wrong(guard: Guard) -> None:
    """End the worker before it changes something in another ECS. Raises EcsUnavailable: the command stays open."""
    try:
        guard.check_before_change()
    except WrongEcs as error:
        log.error("installation.wrong", reason=str(error))  # noqa: TRY400 - the reason is the message
        state.should_stop = EX_FAILURE  # type: ignore[assignment]  # the worker's loop ends with this status
        raise EcsUnavailable("this worker's ECS is not the database's") from error


def check_options(options: Mapping[str, Any]) -> None:
    """Refuse options that have no effect or make no sense, and size the resources by `-c`."""
    check_queues("-Q", options.get("queues"))
    check_queues("-X", options.get("exclude_queues"))
    if options.get("pool") is not TaskPool:
        return  # other pools, gevent for one, have options of their own
    if pool_was_named():
        end("-P prefork has no effect: tasks run in threads, and -c says how many; leave -P out")
    for option, instead in NOT_FOR_THREADS.items():
        if options.get(option) is not None:
            end(f"--{option.replace('_', '-')} has no effect: {instead}")
    threads = options.get("concurrency")
    if threads is None:
        return
    if threads < 1:
        end(f"-c {threads} (or WORKER_CONCURRENCY) leaves no thread for a task: use 1 or more")
    fit(threads)


def check_queues(option: str, queues: list[str] | None) -> None:
    known = [queue.value for queue in Queue]
    for queue in queues or ():
        if queue not in known:
            end(f"{option} {queue}: there is no such queue: the queues are {', '.join(known)}")


def pool_was_named() -> bool:
    """Whether -P was given: Celery replaces its default, `prefork`, by the app's pool."""
    command = click.get_current_context(silent=True)
    return command is not None and command.get_parameter_source("pool") is ParameterSource.COMMANDLINE


def end(reason: str) -> NoReturn:
    sys.exit(f"Error: {reason}")
