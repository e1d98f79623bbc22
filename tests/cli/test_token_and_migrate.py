"""The commands `chargehand token` and `chargehand migrate`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jwt
import psycopg
import pytest
from sqlalchemy import create_engine, make_url, text

from embedded.stack.state_folder import JWT_SECRET_FILE
from tests.cli.conftest import Done, run_with

SECRET = "a-secret-of-the-tests-that-is-long-enough-to-be-accepted"


@pytest.fixture(autouse=True)
def without_token_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("JWT_")]:
        monkeypatch.delenv(name)


def token(*arguments: str, **environment: str) -> Done:
    return run_with(environment, "token", *arguments)


def chargehand(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run the command in a process that has only these variables."""
    return subprocess.run(
        [sys.executable, "-m", "chargehand", *arguments],
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def claims_of(output: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(output.strip(), SECRET, algorithms=["HS256"])
    return claims


def test_a_token_for_an_organization_is_printed_and_nothing_else() -> None:
    done = token("--organization", "acme", "--ttl", "60", JWT_SECRET=SECRET)

    claims = claims_of(done.out)
    assert (claims["role"], claims["organization_id"]) == ("user", "acme")
    assert int(str(claims["exp"])) - int(str(claims["iat"])) == 60
    assert done.err == ""
    assert done.status == 0


def test_a_token_for_an_admin_needs_no_organization() -> None:
    done = token("--role", "admin", "--subject", "ops", JWT_SECRET=SECRET)

    claims = claims_of(done.out)
    assert (claims["role"], claims["sub"]) == ("admin", "ops")
    assert "organization_id" not in claims


def test_a_short_secret_signs_a_token_which_the_service_refuses() -> None:
    done = token("--organization", "acme", JWT_SECRET="short")

    assert (done.status, done.err) == (0, "")


def test_a_token_is_signed_with_the_secret_of_the_state_folder_where_no_other_is_set(tmp_path: Path) -> None:
    (tmp_path / JWT_SECRET_FILE).write_text(SECRET)

    done = token("--organization", "acme", STATE_DIR=str(tmp_path))

    assert claims_of(done.out)["organization_id"] == "acme"


def test_the_secret_of_the_environment_goes_before_that_of_the_state_folder(tmp_path: Path) -> None:
    (tmp_path / JWT_SECRET_FILE).write_text("another secret that is long enough too")

    done = token("--organization", "acme", STATE_DIR=str(tmp_path), JWT_SECRET=SECRET)

    assert claims_of(done.out)["organization_id"] == "acme"


@pytest.mark.parametrize(
    ("arguments", "environment", "returncode", "message"),
    [
        ((), {"JWT_SECRET": SECRET}, 2, "--organization is required"),
        (("--organization", "no spaces"), {"JWT_SECRET": SECRET}, 2, "the organization has"),
        (("--organization", "acme", "--ttl", "0"), {"JWT_SECRET": SECRET}, 2, "0 is not in the range"),
        (("--organization", "acme"), {"STATE_DIR": "/nowhere"}, 1, "JWT_SECRET is not set"),
        (("--organization", "acme"), {"JWT_ALGORITHM": "RS256"}, 1, "JWT_ALGORITHM is not HS256"),
    ],
)
def test_a_token_that_cannot_be_made_is_an_error_without_a_traceback(
    arguments: tuple[str, ...], environment: dict[str, str], returncode: int, message: str
) -> None:
    done = token(*arguments, **environment)

    assert done.status == returncode
    assert done.out == ""
    assert message in done.err.splitlines()[-1]
    assert "Traceback" not in done.err


def test_migrating_brings_an_empty_database_to_the_newest_schema_and_may_be_repeated(
    postgres_url: str,
) -> None:
    server = make_url(postgres_url)
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS cli_migrates"))
        connection.execute(text("CREATE DATABASE cli_migrates"))
    url = server.set(drivername="postgresql", database="cli_migrates").render_as_string(hide_password=False)

    first = chargehand("migrate", DATABASE_URL=url, REDIS_URL="redis://localhost")
    again = chargehand("migrate", DATABASE_URL=url, REDIS_URL="redis://localhost")

    assert (first.returncode, first.stderr, again.returncode) == (0, "", 0)
    with psycopg.connect(url) as migrated:
        assert migrated.execute("SELECT count(*) FROM chargers").fetchone() == (0,)
    with engine.connect() as connection:
        connection.execute(text("DROP DATABASE cli_migrates"))
    engine.dispose()


def test_migrating_a_database_of_a_newer_version_is_one_clear_line(new_database: Callable[[], str]) -> None:
    url = new_database().replace("+psycopg", "")
    with psycopg.connect(url) as database:
        database.execute("UPDATE alembic_version SET version_num = 'of tomorrow'")

    done = chargehand("migrate", DATABASE_URL=url, REDIS_URL="redis://localhost")

    assert done.returncode == 1
    assert done.stderr.startswith("Error: The database has a schema that this version does not know")
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://nobody@127.0.0.1:1/nothing", "Error: The database is not available"),
        ("mysql://localhost", "Error: DATABASE_URL must be a postgresql:// URL"),
    ],
)
def test_migrating_without_a_database_is_one_clear_line(url: str, message: str) -> None:
    done = chargehand("migrate", DATABASE_URL=url, REDIS_URL="redis://localhost")

    assert done.returncode == 1
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
