"""Settings of servers, roles, databases and poolers do not change a connection, or it is refused in one line."""

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Engine, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from embedded.ports import free_port
from shared.database import connection as connecting
from shared.database.connection import SHARED_CONNECTIONS
from shared.database.diagnosis import connection_trouble
from shared.database.engine import check_fit, make_engine, transactional
from shared.database.migrate import migrate, migration_trouble
from shared.database.url import SESSION
from tests.support.pooler import running_pooler

#: Settings of a role or a database that change what answers and statements mean.
ODD = {
    "DateStyle": "German, DMY",
    "IntervalStyle": "sql_standard",
    "TimeZone": "Asia/Kathmandu",
    "array_nulls": "off",
    "bytea_output": "escape",
    "client_encoding": "LATIN1",
    "default_transaction_isolation": "serializable",
    "extra_float_digits": "-10",
    "standard_conforming_strings": "off",
    "transform_null_equals": "on",
}


@pytest.fixture(scope="module")
def server(postgres_url: str) -> Iterator[Engine]:
    engine = make_engine(postgres_url)
    yield engine
    engine.dispose()


@contextmanager
def database_of_its_own(server: Engine, making: str = "") -> Iterator[URL]:
    name = f"test_{uuid4().hex}"
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name} {making}"))
    yield make_url(server.url).set(database=name)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


@pytest.fixture(scope="module")
def place(server: Engine) -> Iterator[URL]:
    """A database without a table."""
    with database_of_its_own(server) as url:
        yield url


def spelled(url: URL, **parameters: str) -> str:
    """With parameters encoded as libpq reads them."""
    query = "&".join(
        f"{name}={value.replace(' ', '%20').replace('=', '%3D')}" for name, value in parameters.items()
    )
    return url.render_as_string(hide_password=False) + (f"?{query}" if query else "")


@contextmanager
def engine_of(url: str, pool_size: int = 2, **options: Any) -> Iterator[Engine]:
    engine = make_engine(url, pool_size=pool_size, **options)
    yield engine
    engine.dispose()


def shown(engine: Engine, name: str) -> str:
    with engine.connect() as connection:
        return str(connection.scalar(text(f"SHOW {name}")))


def trouble_of(url: str) -> str:
    with engine_of(url) as engine, pytest.raises(OperationalError) as refused:
        check_fit(engine)
    return connection_trouble(refused.value)


def trouble_of_migrating(url: str) -> str:
    with pytest.raises(Exception) as refused:
        migrate(url)
    said = migration_trouble(refused.value)
    assert "\n" not in said
    return said


@pytest.mark.parametrize("of", ["DATABASE", "ROLE"])
def test_settings_of_a_role_or_a_database_change_no_result(server: Engine, of: str) -> None:
    moment = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)
    query = text(
        "SELECT :moment ::timestamptz, 'あ\\n', interval '1 day 2 hours', 1 / 3.0::float8, '\\x00ff'::bytea, "
        "'{NULL}'::text[], NULL = NULL"
    )
    with database_of_its_own(server) as url, server.connect() as connection:
        role = f"role_{uuid4().hex}"
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'"))
        for name, value in ODD.items():
            connection.execute(
                text(f"ALTER {of} {role if of == 'ROLE' else url.database} SET {name} = '{value}'")
            )
        with (
            engine_of(spelled(url)) as usual,
            engine_of(spelled(url.set(username=role, password="secret"))) as odd,
        ):
            answers = []
            for engine in (usual, odd):
                with transactional(engine).connect() as ours:
                    answers.append(ours.execute(query, {"moment": moment}).one())
            session = {name: shown(odd, name) for name in SESSION}
        connection.execute(text(f"DROP ROLE {role}"))

    assert answers[0] == answers[1]
    assert answers[1][0] == moment
    assert answers[1][1] == "あ\\n"
    assert session == SESSION
    assert SESSION.keys() <= ODD.keys()


def test_options_of_the_url_are_used_beside_ours(place: URL) -> None:
    options = "-c search_path=tenant -c statement_timeout=61s -c transaction_timeout=9s"
    with engine_of(spelled(place, options=options, application_name="x")) as engine:
        assert shown(engine, "search_path") == "tenant"
        assert shown(engine, "statement_timeout") == "61s"
        assert shown(engine, "lock_timeout") == "5s"
        assert shown(engine, "jit") == "off", "no statement of ours is so long that compiling it pays"
        assert shown(engine, "application_name") == "x"
    with engine_of(spelled(place, options=options), migrates=True) as engine:
        assert shown(engine, "statement_timeout") == "0"
        assert shown(engine, "transaction_timeout") == "0"


def test_a_migration_uses_the_schema_of_the_url(server: Engine) -> None:
    with database_of_its_own(server) as url, engine_of(spelled(url)) as engine:
        migrating = spelled(url, options="-c search_path=tenant")
        with engine.connect() as connection:
            connection.execute(text("CREATE SCHEMA tenant"))
            migrate(migrating)
            tables = connection.scalars(
                text("SELECT DISTINCT schemaname FROM pg_tables WHERE tablename = 'chargers'")
            )

            assert list(tables) == ["tenant"]


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_an_encoding_other_than_utf8_is_refused(server: Engine, encoding: str) -> None:
    with database_of_its_own(server, f"ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'") as url:
        said = trouble_of(spelled(url))

        assert said.startswith(f"The database's encoding is {encoding}")
        assert "ENCODING 'UTF8'" in said
        assert trouble_of_migrating(spelled(url)) == said


def test_a_server_that_is_too_old_is_refused(place: URL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "OLDEST_VERSION", 99)

    assert trouble_of(spelled(place)).endswith(": use 99 or newer")


def test_a_url_with_several_hosts_finds_the_one_that_works(place: URL) -> None:
    login = f"{place.username}:{place.password}"
    url = f"postgresql://{login}@127.0.0.1:{free_port()},127.0.0.1:{place.port}/{place.database}"

    with engine_of(f"{url}?target_session_attrs=read-write") as engine:
        assert shown(engine, "lock_timeout") == "5s"


def test_a_pooler_that_refuses_options_works(place: URL) -> None:
    with running_pooler(place.port) as port:
        with engine_of(spelled(place.set(port=port))) as engine:
            check_fit(engine)
            assert shown(engine, "statement_timeout") == "10s"
        said = trouble_of(spelled(place.set(port=port), options="-c search_path=x"))

    assert said.startswith("A pooler between us and the database refuses the options of DATABASE_URL")


def test_a_pooler_that_shares_connections_between_transactions_is_refused(place: URL) -> None:
    with running_pooler(place.port, shares=True) as port:
        url = spelled(place.set(port=port))

        assert trouble_of(url) == SHARED_CONNECTIONS
        assert trouble_of_migrating(url) == SHARED_CONNECTIONS


def test_a_process_with_thousands_of_open_files_detects_such_a_pooler_too(place: URL) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(4_096, limits[1]), limits[1]))
        with ExitStack() as files, running_pooler(place.port, shares=True) as port:
            for _ in range(1_100):
                files.enter_context(Path(os.devnull).open())
            assert trouble_of(spelled(place.set(port=port))) == SHARED_CONNECTIONS
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_server_process_may_serve_another_connection_after_the_first_has_ended(place: URL) -> None:
    """As a pooler of whole sessions lets it."""
    with running_pooler(place.port, shares=True) as port:
        for _ in range(2):
            with engine_of(spelled(place.set(port=port))) as engine:
                assert shown(engine, "lock_timeout") == "5s"


@pytest.mark.parametrize(
    ("change", "parameters", "words"),
    [
        ({"password": "wrong"}, {}, "The database refuses our user or password: check"),
        ({"database": "no_such"}, {}, "The database that DATABASE_URL names does not exist: make it"),
        ({}, {"sslmode": "require"}, "The database and sslmode in DATABASE_URL do not agree on TLS"),
        ({}, {"options": "-c no_such_setting=1"}, "The database refuses the options of DATABASE_URL"),
        ({}, {"options": "-c work_mem=much"}, "The database refuses the options of DATABASE_URL"),
        ({"host": "host.invalid"}, {}, "The host of DATABASE_URL has no address"),
        ({"port": 1}, {}, "The database is not available"),
    ],
)
def test_the_reason_of_a_failed_connection_has_no_address(
    place: URL, change: dict[str, Any], parameters: dict[str, str], words: str
) -> None:
    said = trouble_of(spelled(place.set(**change), **parameters))

    assert said.startswith(words)
    assert "127.0.0.1" not in said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("REVOKE CREATE ON SCHEMA public FROM PUBLIC", "The role may not do what the migration needs: let the owner"),
        ("ALTER ROLE poor SET search_path = nowhere", "The search_path names no schema that exists: make it"),
        ("ALTER ROLE poor SET default_transaction_read_only = on", "The database takes no writes"),
        ("GRANT CREATE ON SCHEMA public TO poor; CREATE TABLE chargers (id int)", "Something that no migration made"),
        ("CREATE TABLE alembic_version AS SELECT 'x' AS version_num; GRANT ALL ON alembic_version TO poor", "The database has a schema that"),
        ("CREATE VIEW alembic_version AS SELECT 1 AS x; GRANT ALL ON alembic_version TO poor", "Something that an earlier migration made is gone"),
        ("ALTER ROLE poor CONNECTION LIMIT 1", "The database has no free connection"),
    ],
)  # fmt: skip
def test_the_reason_of_a_failed_migration_has_a_remedy(server: Engine, given: str, words: str) -> None:
    with database_of_its_own(server) as url, server.connect() as connection:
        role = f"role_{uuid4().hex}"
        connection.execute(text(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'"))
        with engine_of(spelled(url)) as owner, owner.connect() as there:
            for statement in given.replace("poor", role).split("; "):
                there.execute(text(statement))

        said = trouble_of_migrating(spelled(url.set(username=role, password="secret")))

        with engine_of(spelled(url)) as owner, owner.connect() as there:
            there.execute(text(f"DROP OWNED BY {role}"))
        connection.execute(text(f"DROP ROLE {role}"))
    assert said.startswith(words)
    assert ": " in said
