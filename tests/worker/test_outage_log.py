"""An error of the database costs a worker a log line: the work is repeated, and the charger's row shows nothing of it."""

import pytest
import structlog
from sqlalchemy import Engine, text
from sqlalchemy.exc import ProgrammingError

from shared.database.engine import transactional
from tests.support.waiting import wait_until
from worker.outage_log import DatabaseOutageLog, OutageLog


def test_a_transaction_that_ended_while_its_worker_was_frozen_is_an_outage(engine: Engine) -> None:
    database = DatabaseOutageLog()
    with structlog.testing.capture_logs() as lines, engine.connect() as watching:
        with database.suppress(), transactional(engine).connect() as connection:
            backend = {"pid": connection.scalar(text("SELECT pg_backend_pid()"))}
            connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 1"))
            running = text("SELECT count(*) FROM pg_stat_activity WHERE pid = :pid")
            wait_until(lambda: watching.execute(running, backend).scalar() == 0)
            connection.execute(text("SELECT 1"))
        with database.suppress():
            pass

    assert [line["event"] for line in lines] == ["database.away", "database.back"]


def test_a_lock_that_a_worker_does_not_get_is_contention_and_no_outage(engine: Engine) -> None:
    database = DatabaseOutageLog()
    with structlog.testing.capture_logs() as lines, transactional(engine).begin() as holder:
        holder.execute(text("LOCK TABLE log_cursors"))
        for _ in range(2):
            with database.suppress(), transactional(engine).begin() as connection:
                connection.execute(text("SET LOCAL lock_timeout = 20"))
                connection.execute(text("LOCK TABLE log_cursors"))

    assert [line["event"] for line in lines] == ["database.contention"] * 2


def test_an_error_of_a_statement_itself_is_raised(engine: Engine) -> None:
    with pytest.raises(ProgrammingError), DatabaseOutageLog().suppress(), engine.connect() as connection:
        connection.execute(text("SELECT * FROM no_such_table"))


def test_an_outage_is_one_line_at_its_beginning_and_one_at_its_end() -> None:
    outage = OutageLog("logs", OSError)
    with structlog.testing.capture_logs() as lines:
        for error in (None, OSError("away"), OSError("still away"), None, None, OSError("again")):
            with outage.suppress():
                if error:
                    raise error
        with pytest.raises(ValueError, match="a bug"), outage.suppress():
            raise ValueError("a bug")

    assert [line["event"] for line in lines] == ["logs.away", "logs.back", "logs.away"]
    assert lines[0]["error"] == "OSError: away"
