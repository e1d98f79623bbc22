"""A real worker is killed in the middle of a job of 300: each charger gets its command once, and every item becomes final."""

from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest
from sqlalchemy import func, select

from embedded.ports import HOST, free_port
from embedded.process import running
from shared.database.engine import Sessions, make_engine
from shared.fleet.jobs.accept import JobRequest, Selection, accept_job
from shared.fleet.listing import Filters
from shared.models import Command, Job
from shared.vocabulary import JobAction, JobStatus
from tests.dashboard.rows import insert_rows
from tests.support.environment import environment
from tests.support.stack import Stack, beat_program, ecs_program, worker_program
from tests.support.waiting import wait_until

NUMBER = 300
WITHIN_S = 240


@pytest.mark.slow
def test_a_worker_that_is_killed_in_a_job_of_300_loses_and_doubles_nothing(
    server_folder: Path, new_database: Callable[[], str], redis_url: str
) -> None:
    folder, port = server_folder / "killed", free_port()
    database_url, broker_url = new_database(), f"{redis_url.removesuffix('/0')}/5"
    sessions = Sessions(make_engine(database_url))
    insert_rows(sessions.autocommit, NUMBER, prefix="KILL-", runs=True)
    variables = {
        **environment(database_url, broker_url),
        "CHARGEHAND_ENV": "embedded",
        "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
        "PATH": "/usr/bin:/bin",
    }
    stack = Stack("", f"http://{HOST}:{port}", database_url, broker_url, variables, folder)

    def job() -> Job:
        with sessions() as session:
            return session.scalars(select(Job)).one()

    with ExitStack() as parts:
        for program in (ecs_program(stack, port), beat_program(stack)):
            parts.enter_context(running(program, folder / f"{program.name}.log", within_s=60))
        with sessions.begin() as session:
            request = JobRequest(JobAction.STOP, Selection(filters=Filters()), "demo", "tom", None)
            accept_job(session, request, max_open=1)
        for life in range(3):
            parts.enter_context(running(worker_program(stack, f"worker{life}"), folder / f"worker{life}.log"))
            before = job().succeeded
            wait_until(lambda before=before: job().succeeded > before, within_s=WITHIN_S)  # type: ignore[misc]
            if life < 2:
                kill_workers(f"worker{life}@")
        wait_until(lambda: job().finished_at is not None, within_s=WITHIN_S)

    ended = job()
    assert (ended.status, ended.succeeded) == (JobStatus.FINISHED, NUMBER)
    with sessions() as session:
        of_job = select(func.count(), func.count(Command.charger_id.distinct())).where(
            Command.job_id == ended.id
        )
        assert session.execute(of_job).one() == (NUMBER, NUMBER)
    sessions.autocommit.dispose()


def kill_workers(name: str) -> None:
    """As `kill -9`, for the processes of this test whose command line has the name."""
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # another test's, which has just ended
            if any(name in word for word in process.cmdline()):
                process.kill()
