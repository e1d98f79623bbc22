"""A worker's database connections follow the size of its pool."""

from sqlalchemy import QueuePool

from shared.settings import Settings
from worker.resources import Process


def connections(process: Process) -> int:
    """How many the process may have at once."""
    pool = process.resources().sessions.autocommit.pool
    assert isinstance(pool, QueuePool)
    return pool.size()


def test_connections_follow_the_pool(settings: Settings) -> None:
    process = Process()
    process.fit(4)

    small = connections(process)
    process.fit(10)
    grown = connections(process)
    process.fit(2)
    shrunk = connections(process)
    process.resources().sessions.autocommit.dispose()

    assert (small, grown, shrunk) == (4, 7, 3)


def test_a_transaction_that_is_open_while_the_pool_is_resized_ends_as_it_began(settings: Settings) -> None:
    process = Process()
    process.fit(2)
    sessions = process.resources().sessions

    with sessions.begin() as session:
        before = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar()
        process.fit(6)
        after = session.connection().exec_driver_sql("SELECT pg_backend_pid()").scalar()
    process.resources().sessions.autocommit.dispose()

    assert before == after
