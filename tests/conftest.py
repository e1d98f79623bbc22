"""Real parts for every test: PostgreSQL and Redis, the ones of the environment or the embedded ones."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import Engine, make_url, text

from embedded.postgres import running_postgres
from embedded.redis import running_redis
from shared.database.engine import Sessions, make_engine
from shared.database.migrate import migrate
from shared.models import Base
from shared.settings import Settings
from shared.startup.environment import load_settings
from shared.startup.strays import NOT_USED, OF_LIBPQ, leave_out
from tests.scheduling import LoadStackScheduling, mark_end_to_end, sort_slowest_first
from tests.support.environment import Token, environment, tokens_of

pytest_plugins = ["pytester"]  # for the tests of our own plugin

# The shell of who runs the tests may belong to another project.
leave_out(os.environ, NOT_USED if os.environ.get("DATABASE_URL") else (*NOT_USED, *OF_LIBPQ))

# Python starts a server in two fifths of the CPU time when it may keep the bytecode of what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

#: Tables whose rows are there before the first test.
PRESERVED_TABLES = {"catalog_brands", "catalog_models", "installation"}


@pytest.hookimpl(optionalhook=True)  # without xdist nobody calls it
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return LoadStackScheduling(config, log)


def pytest_itemcollected(item: pytest.Item) -> None:
    mark_end_to_end(item)


@pytest.hookimpl(trylast=True)  # after pytest-randomly
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    sort_slowest_first(items)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    with TemporaryDirectory(prefix="chargehand-", ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="session")
def postgres_url(server_folder: Path) -> Iterator[str]:
    """A server in which databases may be made."""
    given = os.environ.get("DATABASE_URL")
    if given:
        yield given.replace("postgresql://", "postgresql+psycopg://", 1)
    else:
        with running_postgres(server_folder / "postgres") as url:
            yield url


@pytest.fixture(scope="session")
def redis_url(server_folder: Path) -> Iterator[str]:
    """A database of a server for each process of the run."""
    given = os.environ.get("REDIS_URL")
    if given:
        parts = urlsplit(given)
        number = int(parts.path.strip("/") or 0) + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
        yield parts._replace(path=f"/{number}").geturl()
    else:
        with running_redis(server_folder / "redis") as url:
            yield url


@pytest.fixture(scope="session")
def new_database(postgres_url: str) -> Iterator[Callable[[], str]]:
    """Makes a database with our schema and catalog, and returns its URL. Dropped at the end.

    Each is a copy of the first one, which no test uses: the migrations run once.
    """
    made: list[str] = []
    server = make_engine(postgres_url)

    def create(*, template: str = "template1") -> str:
        name = f"test_{uuid4().hex}"
        with server.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name} TEMPLATE {template}"))
        made.append(name)
        return name

    def url_of(name: str) -> str:
        return make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    def new() -> str:
        if not made:
            migrate(url_of(create()))
        return url_of(create(template=made[0]))

    yield new
    with server.connect() as connection:
        for name in made:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


@pytest.fixture(scope="session")
def engine(new_database: Callable[[], str]) -> Iterator[Engine]:
    """One database for all tests that clean up after themselves through `sessions`."""
    engine = make_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture
def sessions(engine: Engine) -> Iterator[Sessions]:
    """An empty database, except for the catalog."""
    yield Sessions(engine)
    delete_rows(engine)


def delete_rows(engine: Engine) -> None:
    """Delete the rows that a test has left; the catalog and the installation's name stay.

    TRUNCATE takes twenty times as long, because it creates the file of every index again. One call of the server: there are
    more tables than most tests have rows.
    """
    names = [
        table.name for table in reversed(Base.metadata.sorted_tables) if table.name not in PRESERVED_TABLES
    ]
    of_triggers = ("charger_counts", "charger_events")  # last: the triggers of chargers write them
    names.sort(key=lambda name: name in of_triggers)
    with engine.begin() as connection:
        connection.exec_driver_sql("; ".join(f"DELETE FROM {name}" for name in names))  # noqa: S608  # our own names


@pytest.fixture
def settings(engine: Engine, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """As in production, on the tests' database and broker."""
    for name, value in environment(engine.url.render_as_string(hide_password=False), redis_url).items():
        monkeypatch.setenv(name, value)
    return load_settings()


@pytest.fixture
def token(settings: Settings) -> Token:
    return tokens_of(settings.tokens)
