"""Which errors mean that the database is unavailable, which are contention, and which are faults of the statement."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from shared.database.engine import contention, is_unavailable, make_engine, transactional
from tests.support.waiting import wait_until

UNAVAILABLE, CONTENTION, FAULT = "unavailable", "contention", "fault"

#: Raised by the server with that SQLSTATE.
STATES = {
    "08000": UNAVAILABLE,  # connection_exception
    "08006": UNAVAILABLE,  # connection_failure
    "08P01": UNAVAILABLE,  # protocol_violation
    "25006": UNAVAILABLE,  # read_only_sql_transaction
    "25P03": UNAVAILABLE,  # idle_in_transaction_session_timeout
    "25P04": UNAVAILABLE,  # transaction_timeout
    "53000": UNAVAILABLE,  # insufficient_resources
    "53100": UNAVAILABLE,  # disk_full
    "53200": UNAVAILABLE,  # out_of_memory
    "53300": UNAVAILABLE,  # too_many_connections
    "57P01": UNAVAILABLE,  # admin_shutdown
    "57P02": UNAVAILABLE,  # crash_shutdown
    "57P03": UNAVAILABLE,  # cannot_connect_now
    "57P04": UNAVAILABLE,  # database_dropped
    "57P05": UNAVAILABLE,  # idle_session_timeout
    "58030": UNAVAILABLE,  # io_error
    "40001": CONTENTION,  # serialization_failure
    "40P01": CONTENTION,  # deadlock_detected
    "55P03": CONTENTION,  # lock_not_available
    "57014": CONTENTION,  # query_canceled
    "22021": FAULT,  # character_not_in_repertoire
    "22P02": FAULT,  # invalid_text_representation
    "23505": FAULT,  # unique_violation
    "23514": FAULT,  # check_violation
    "25P02": FAULT,  # in_failed_sql_transaction
    "42501": FAULT,  # insufficient_privilege
    "42P01": FAULT,  # undefined_table
    "54000": FAULT,  # program_limit_exceeded
    "55000": FAULT,  # object_not_in_prerequisite_state
    "XX000": FAULT,  # internal_error
}


def kind(error: BaseException) -> str:
    if is_unavailable(error):
        assert contention(error) is None
        return UNAVAILABLE
    return FAULT if contention(error) is None else CONTENTION


def error_of(do: Callable[[], object]) -> SQLAlchemyError:
    with pytest.raises(SQLAlchemyError) as caught:
        do()
    return caught.value


@pytest.mark.parametrize("state", STATES)
def test_every_sqlstate_has_one_kind(engine: Engine, state: str) -> None:
    with engine.connect() as connection:
        raised = text(f"DO $$ BEGIN RAISE EXCEPTION 'made up' USING ERRCODE = '{state}'; END $$")
        error = error_of(lambda: connection.execute(raised))

    assert isinstance(error, DBAPIError)
    assert kind(error) == STATES[state]
    assert error.orig is not None
    assert kind(error.orig) == STATES[state]


def in_transaction(engine: Engine, *statements: str) -> SQLAlchemyError:
    with transactional(engine).connect() as connection:

        def run() -> None:
            for statement in statements:
                connection.execute(text(statement))

        return error_of(run)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        (["SET LOCAL statement_timeout = 20", "SELECT pg_sleep(5)"], CONTENTION),
        (["SELECT pg_terminate_backend(pg_backend_pid())"], UNAVAILABLE),
        (["SET TRANSACTION READ ONLY", "CREATE TABLE read_only (id int)"], UNAVAILABLE),
        (["SELECT * FROM no_such_table"], FAULT),
        (["SELECT 1 / 0"], FAULT),
    ],
    ids=["statement time-out", "terminated", "read-only", "no table", "division"],
)
def test_a_real_failure_of_a_statement_has_its_kind(
    engine: Engine, statements: list[str], expected: str
) -> None:
    assert kind(in_transaction(engine, *statements)) == expected


def test_a_session_that_the_server_ended_in_its_transaction_was_unavailable(engine: Engine) -> None:
    """It arrives as an InternalError, and not as an OperationalError."""
    with transactional(engine).connect() as connection, engine.connect() as watching:
        backend = {"pid": connection.scalar(text("SELECT pg_backend_pid()"))}
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
        running = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
        wait_until(lambda: watching.execute(running, backend).scalar() == 0)

        error = error_of(lambda: connection.execute(text("SELECT 1")))

    assert kind(error) == UNAVAILABLE


def test_a_lock_timeout_is_contention(engine: Engine) -> None:
    with transactional(engine).begin() as holder:
        holder.execute(text("LOCK TABLE log_cursors"))

        error = in_transaction(engine, "SET LOCAL lock_timeout = 20", "LOCK TABLE log_cursors")

    assert kind(error) == CONTENTION


def test_a_deadlock_is_contention(engine: Engine) -> None:
    with transactional(engine).connect() as one, transactional(engine).connect() as other:
        one.execute(text("SET LOCAL deadlock_timeout = '20ms'"))
        other.execute(text("SET LOCAL deadlock_timeout = '5s'"))
        one.execute(text("SELECT pg_advisory_xact_lock(1)"))
        other.execute(text("SELECT pg_advisory_xact_lock(2)"))
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(other.execute, text("SELECT pg_advisory_xact_lock(1)"))
            error = error_of(lambda: one.execute(text("SELECT pg_advisory_xact_lock(2)")))
            one.rollback()
            waiting.result(10)

    assert kind(error) == CONTENTION


def test_a_server_that_does_not_exist_is_unavailable() -> None:
    nowhere = make_engine("postgresql+psycopg://nobody@127.0.0.1:1/none")

    assert kind(error_of(nowhere.connect)) == UNAVAILABLE


def test_a_database_that_does_not_exist_is_unavailable(engine: Engine) -> None:
    url = engine.url.set(database="no_such_database")

    assert kind(error_of(make_engine(url.render_as_string(hide_password=False)).connect)) == UNAVAILABLE


def test_a_pool_without_a_free_connection_is_unavailable(engine: Engine) -> None:
    small = create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0.01)
    with small.connect():
        error = error_of(small.connect)
    small.dispose()

    assert kind(error) == UNAVAILABLE


def test_an_error_of_something_else_is_no_error_of_the_database() -> None:
    assert kind(OSError("no route to host")) == FAULT
