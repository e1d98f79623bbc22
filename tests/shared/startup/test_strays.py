"""Variables that libraries read past the settings do not change where a process connects."""

import os

import pytest
from psycopg import pq

from shared.settings import SettingsError
from shared.startup.checks import checked_settings
from shared.startup.environment import load_settings
from shared.startup.strays import ADDED, NOT_USED, OF_CELERY_ITSELF, OF_LIBPQ, leave_out

URL = "postgresql://u:p@localhost/db"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*OF_LIBPQ, *(name for name in os.environ if name.startswith("CELERY_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", URL)
    monkeypatch.setenv("REDIS_URL", "redis://localhost")
    monkeypatch.delenv("JWT_SECRET", raising=False)


def test_every_variable_of_libpq_is_added_or_not_used() -> None:
    of_libpq = {option.envvar.decode() for option in pq.Conninfo.get_defaults() if option.envvar}

    assert of_libpq <= {*ADDED, *NOT_USED}
    assert {option.keyword.decode() for option in pq.Conninfo.get_defaults()} >= set(ADDED.values())


def test_unused_variables_are_removed_once_the_settings_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PGHOST",
        "PGPORT",
        "PGOPTIONS",
        "CELERY_BROKER_URL",
        "FLASK_DEBUG",
        "PSYCOPG_IMPL",
        "PGSSLMODE",
    ):
        monkeypatch.setenv(name, "prefer")

    checked_settings(verifies_tokens=False)

    left = {
        "PGHOST",
        "PGPORT",
        "PGOPTIONS",
        "CELERY_BROKER_URL",
        "FLASK_DEBUG",
        "PSYCOPG_IMPL",
        "PGSSLMODE",
    } & set(os.environ)
    assert left == {"PGSSLMODE"}


def test_only_listed_variables_are_removed_and_named() -> None:
    kept = {
        "PATH": "/bin",
        "FLASK": "x",
        "PGHOSTS": "x",
        "PGPASSFILE": "x",
        **dict.fromkeys(OF_CELERY_ITSELF, "x"),
    }
    environment = {**kept, "PGTZ": "x", "CELERY_TASK_ALWAYS_EAGER": "x"}

    assert leave_out(environment) == ["CELERY_TASK_ALWAYS_EAGER", "PGTZ"]
    assert environment == kept


@pytest.mark.parametrize(
    ("url", "name", "reason"),
    [
        ("postgresql:///db", "PGHOST", "names no host, and PGHOST is not used"),
        ("postgresql://u@/db", "PGSERVICE", "names no host, and PGSERVICE is not used"),
        ("postgresql://localhost/db", "PGUSER", "names no user, and PGUSER is not used"),
        ("postgresql://u@localhost", "PGDATABASE", "names no dbname, and PGDATABASE is not used"),
        (URL, "PGSSLMODE", "^PGSSLMODE, which adds to DATABASE_URL, must have one of disable, .* 'x'$"),
        (
            URL,
            "PGSSLROOTCERT",
            "^PGSSLROOTCERT, which adds to DATABASE_URL, names a file .* cannot be read: x$",
        ),
        (URL, "PGCHANNELBINDING", "^PGCHANNELBINDING, which adds"),
    ],
)
def test_a_removed_variable_that_the_url_needs_or_one_that_cannot_work_is_refused_in_one_line(
    url: str, name: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv(name, "x")

    with pytest.raises(SettingsError, match=reason) as refused:
        load_settings()

    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "name"),
    [
        (URL, "PGHOST"),
        ("postgresql://u@/db?host=/run", "PGHOST"),
        ("postgresql://u@/db?hostaddr=::1", "PGHOSTADDR"),
        (f"{URL}?sslmode=require", "PGSSLMODE"),
    ],
)
def test_a_variable_that_the_url_overrides_does_not_matter(
    url: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv(name, "x")

    assert load_settings().database_url.endswith(url.removeprefix("postgresql"))
