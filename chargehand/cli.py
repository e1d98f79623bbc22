"""The command chargehand. Each command imports what it needs when it runs, so that none waits for another."""
# ruff: noqa: PLC0415

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import click

from chargehand.installation import installation

if TYPE_CHECKING:
    from shared.settings import TokenSettings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chargehand")
def main() -> None:
    """Run fleets of simulated EV chargers."""


main.add_command(installation)


@main.command()
def up() -> None:
    """Run every part on this machine, until Ctrl-C.

    PORT (8000) and STATE_DIR (.chargehand) say where; DATABASE_URL and REDIS_URL name servers to use
    instead of our own.
    """
    from embedded.state import CannotStart
    from embedded.up import up

    try:
        up(click.echo)
    except CannotStart as error:
        fail(str(error))


@main.command()
def migrate() -> None:
    """Bring the database of DATABASE_URL to the newest schema. Safe to repeat."""
    from sqlalchemy.exc import OperationalError

    from shared.database import migrate
    from shared.settings import load_settings

    with errors_in_one_line():
        try:
            migrate(load_settings().database_url)
        except OperationalError as error:
            fail(f"the database is not available: {str(error.orig).splitlines()[0]}")


@main.command()
@click.option("--organization", help="The organization_id of the token; required for users.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option("--subject", default="developer", show_default=True, help="Whom the token names.")
@click.option("--ttl", type=click.IntRange(min=1), default=86_400, show_default=True, help="Seconds.")
def token(organization: str | None, role: str, subject: str, ttl: int) -> None:
    """Print a token for development.

    It is signed with JWT_SECRET; without that, with the secret that `chargehand up` keeps in STATE_DIR.
    """
    from shared.tokens import make_token

    if role == "user" and not organization:
        raise click.UsageError("--organization is required, except with --role admin")
    with errors_in_one_line():
        try:
            made = make_token(
                token_settings(), subject=subject, organization_id=organization, role=role, ttl_s=ttl
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    click.echo(made)


def token_settings() -> "TokenSettings":
    """Those of the environment, completed by the state folder's secret."""
    from embedded.state import JWT_SECRET_FILE, state_folder
    from shared.settings import load_settings

    # Reading the settings asks for these; a token needs no database and no broker.
    os.environ.setdefault("DATABASE_URL", "postgresql://")
    os.environ.setdefault("REDIS_URL", "redis://")
    tokens = load_settings().tokens
    if tokens.algorithm != "HS256" or tokens.secret:
        return tokens
    file = state_folder() / JWT_SECRET_FILE
    try:
        return replace(tokens, secret=file.read_text().strip())
    except OSError:
        fail(
            f"JWT_SECRET is not set, and there is no {file}: `chargehand up` makes it (STATE_DIR says where)"
        )


@contextmanager
def errors_in_one_line() -> Iterator[None]:
    from shared.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        fail(str(error))


def fail(message: str) -> NoReturn:
    raise click.ClickException(message)
