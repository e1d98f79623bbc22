"""A database that is unavailable or frozen holds its caller for seconds, not for ever."""

from collections.abc import Iterator

import orjson
import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.exc import DBAPIError, OperationalError

from shared.database import connection as connecting
from shared.database.engine import make_engine, transactional
from tests.support.proxy import TcpProxy


@pytest.fixture
def line(engine: Engine) -> Iterator[TcpProxy]:
    """Between us and the database."""
    port = engine.url.port
    assert port is not None
    line = TcpProxy(port)
    yield line
    line.close()


def test_a_frozen_database_frees_its_caller_and_works_again_afterwards(
    engine: Engine, line: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_TIMEOUT_S", 0.3)
    url = make_url(engine.url).set(port=line.port).render_as_string(hide_password=False)
    through_line = make_engine(url, pool_size=1)

    with through_line.connect() as connection:
        assert connection.scalar(text("SELECT 1")) == 1
        line.freeze()
        with pytest.raises(OperationalError) as caught:
            connection.scalar(text("SELECT 2"))
    line.heal()
    with through_line.connect() as connection:
        answer = connection.scalar(text("SELECT 3"))
    through_line.dispose()

    assert caught.value.connection_invalidated
    assert answer == 3


def test_a_statement_of_a_migration_has_no_time_limit(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "ANSWER_TIMEOUT_S", 0.5)
    monkeypatch.setitem(connecting.SERVER_TIMEOUTS, "statement_timeout", "500")
    migrating = make_engine(engine.url.render_as_string(hide_password=False), migrates=True)

    with migrating.connect() as connection:
        ended = connection.scalar(text("SELECT pg_sleep(1) IS NOT NULL"))
    migrating.dispose()

    assert ended


def test_a_statement_that_the_server_refuses_does_not_cost_the_connection(engine: Engine) -> None:
    with transactional(engine).connect() as connection:
        before = connection.scalar(text("SELECT pg_backend_pid()"))
        connection.execute(text("SET LOCAL statement_timeout = 50"))
        with pytest.raises(OperationalError) as caught:
            connection.execute(text("SELECT pg_sleep(1)"))
        connection.rollback()
        after = connection.scalar(text("SELECT pg_backend_pid()"))

    assert after == before
    assert not caught.value.connection_invalidated


def test_a_session_that_hangs_in_a_transaction_loses_its_locks_before_others_time_out(engine: Engine) -> None:
    ours = transactional(engine)
    with ours.connect() as hanging, ours.connect() as other:
        hanging.execute(text("LOCK TABLE log_cursors"))

        locked = other.execute(text("LOCK TABLE log_cursors"))

        assert locked
        other.rollback()
        with pytest.raises(DBAPIError) as caught:
            hanging.execute(text("SELECT 1"))
        assert caught.value.connection_invalidated


def test_a_connection_that_refuses_writes_is_unavailable_and_not_used_again(
    engine: Engine,
) -> None:
    ours = make_engine(engine.url.render_as_string(hide_password=False), pool_size=1)
    write = text("CREATE TEMPORARY TABLE written (id int) ON COMMIT DROP")
    lasting = text("CREATE TABLE written (id int)")
    name = engine.url.database

    with engine.begin() as connection:
        connection.execute(text(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on'))
    try:
        with pytest.raises(OperationalError) as caught, ours.begin() as connection:
            connection.execute(lasting)
    finally:
        engine.dispose()
        with engine.connect() as connection:
            connection.execute(text("SET default_transaction_read_only = off"))
            connection.execute(text(f'ALTER DATABASE "{name}" RESET default_transaction_read_only'))
        engine.dispose()
    with transactional(ours).begin() as connection:
        connection.execute(write)
        assert connection.scalar(text("SHOW transaction_read_only")) == "off"
    ours.dispose()

    assert caught.value.connection_invalidated


def test_a_connection_in_use_while_its_engine_is_disposed_of_is_closed_when_it_comes_back(
    engine: Engine,
) -> None:
    ours = make_engine(engine.url.render_as_string(hide_password=False), pool_size=1)

    with transactional(ours).connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        ours.dispose()
        assert connection.scalar(text("SELECT 1")) == 1
        assert not driver.closed

    assert driver.closed
    with ours.connect() as another:
        assert another.scalar(text("SELECT 2")) == 2
    ours.dispose()


def test_a_number_of_any_size_can_be_written_as_json_again(engine: Engine) -> None:
    """A client or a charger sends 1e30, and jsonb writes it with thirty zeros: more than the 64 bits of orjson's integers."""
    of_app = make_engine(engine.url.render_as_string(hide_password=False), pool_size=1)

    with of_app.connect() as connection:
        read = connection.scalar(text("""SELECT '{"number": 1e30, "largest": 1e308, "usual": 7}'::jsonb"""))
    of_app.dispose()

    assert orjson.loads(orjson.dumps(read)) == {"number": 1e30, "largest": 1e308, "usual": 7}
