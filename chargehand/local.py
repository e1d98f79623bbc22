"""The commands for this machine: up, migrate, token and env."""

import os
import shlex
import sysconfig
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from chargehand.client.failures import Failure, Unreachable
from chargehand.options import as_json
from chargehand.output import print_json, print_json_line

if TYPE_CHECKING:
    from shared.settings import TokenSettings


@click.command()
@click.option(
    "--json", "as_json", is_flag=True, help="Print one line of JSON, which holds secrets, when all is ready."
)
def up(*, as_json: bool) -> None:
    """Run a whole stack on this machine, until Ctrl-C.

    PORT (8000) is the port of the API and STATE_DIR (.chargehand) the state folder. DATABASE_URL and REDIS_URL name
    servers to use instead of new ones. With --json the line has every address, a token that is valid for a day,
    Flower's password and the database's URL: keep it out of logs that others read.
    """
    from chargehand.client.starting import ensure_startable
    from embedded.stack.state_folder import CannotStart

    ensure_startable()
    from embedded.up import up

    try:
        if as_json:
            up(lambda line: click.echo(line, err=True), announce=click.echo)
        else:
            up(click.echo)
    except CannotStart as error:
        raise Failure(str(error)) from error


@click.command()
@as_json
def migrate(*, as_json: bool) -> None:
    """Bring the database of DATABASE_URL to the newest schema. Safe to repeat."""
    import psycopg
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from shared.database.migrate import migrate, migration_trouble
    from shared.startup.checks import checked_settings

    with bad_settings_in_one_line():
        url = checked_settings(verifies_tokens=False).database_url
    try:
        migrate(url)
    except (CommandError, SQLAlchemyError, psycopg.Error) as error:
        raise Failure(migration_trouble(error)) from error
    if as_json:
        print_json({"migrated": True})


@click.command()
@click.option("--organization", help="The organization_id of the token; required for users.")
@click.option("--role", type=click.Choice(["user", "admin"]), default="user", show_default=True)
@click.option("--subject", default="developer", show_default=True, help="The subject of the token.")
@click.option("--ttl", type=click.IntRange(min=1), default=86_400, show_default=True, help="Seconds.")
@as_json
def token(*, organization: str | None, role: str, subject: str, ttl: int, as_json: bool) -> None:
    """Print a token for development.

    It is signed with JWT_SECRET; without that, with the secret that `chargehand up` keeps in STATE_DIR.
    """
    from shared.auth.tokens import make_token

    if role == "user" and not organization:
        raise click.UsageError("--organization is required, except with --role admin")
    with bad_settings_in_one_line():
        try:
            made = make_token(
                token_settings(), subject=subject, organization_id=organization, role=role, ttl_s=ttl
            )
        except ValueError as error:
            raise click.UsageError(str(error)) from error
    if as_json:
        print_json({"token": made, "expires_at": int(time.time()) + ttl})
    else:
        click.echo(made)


def token_settings() -> "TokenSettings":
    """The settings of the environment, with the state folder's secret if JWT_SECRET is not set. Raises Failure."""
    from embedded.stack.state_folder import JWT_SECRET_FILE, state_folder
    from shared.startup.environment import load_token_settings

    tokens = load_token_settings()
    if tokens.algorithm != "HS256" or tokens.secret:
        return tokens
    file = state_folder() / JWT_SECRET_FILE
    try:
        return replace(tokens, secret=file.read_text().strip())
    except OSError as error:
        raise Failure(
            f"JWT_SECRET is not set, and there is no {file}: `chargehand up` makes it (STATE_DIR says where)"
        ) from error


@click.command(short_help="Print the variables for a second terminal.")
@click.option("--shell", type=click.Choice(["sh", "fish"]), default="sh", show_default=True)
@as_json
def env(*, shell: str, as_json: bool) -> None:
    """Print the variables for a second terminal that uses the running stack, or adds a worker to it.

    In bash and zsh: eval "$(.venv/bin/chargehand env)"
    """
    variables, unset = exports(os.environ)
    if as_json:
        print_json_line(variables)
        return
    folder = sysconfig.get_path("scripts")
    quote = shlex.quote if shell == "sh" else fish_quote
    for name in unset:
        click.echo(f"unset {name}" if shell == "sh" else f"set -e {name}")
    for name, value in variables.items():
        click.echo(f"export {name}={quote(value)}" if shell == "sh" else f"set -gx {name} {quote(value)}")
    if os.environ.get("PATH", "").partition(os.pathsep)[0] != folder:
        path = (
            f'export PATH={quote(folder)}:"$PATH"' if shell == "sh" else f"set -gx PATH {quote(folder)} $PATH"
        )
        click.echo(path)


def exports(environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The variables to export for the running stack, and the names of those to unset.

    Raises Unreachable if no stack runs and CHARGEHAND_URL is not set.
    """
    from chargehand.client.stack import find_stack, read_description
    from embedded.stack.joining import leads_elsewhere
    from embedded.stack.state_folder import state_folder

    local = read_description(state_folder())
    if local is None:
        if not environment.get("CHARGEHAND_URL"):
            raise Unreachable(f"no stack runs on {state_folder()}: start one with `make run`")
        stack = find_stack()
        ours = {"CHARGEHAND_URL": stack.url, "CHARGEHAND_TOKEN": stack.token}
        return ours | ({"CHARGEHAND_CSMS_URL": stack.csms_url} if stack.csms_url else {}), []
    joining: dict[str, Any] = local["environment"]
    ours = {"CHARGEHAND_URL": local["api"], "CHARGEHAND_CSMS_URL": local["csms"]}
    if local["token"]:
        ours["CHARGEHAND_TOKEN"] = local["token"]
    for name in {"NO_PROXY", "no_proxy"} & joining.keys():  # in addition to the terminal's own hosts
        hosts = ",".join(filter(None, (environment.get(name), joining[name]))).split(",")
        joining[name] = ",".join(dict.fromkeys(hosts))
    stray = [name for name in environment if leads_elsewhere(name, joining)]
    if local["token"] and "CHARGEHAND_TOKEN_FILE" in environment:
        stray.append("CHARGEHAND_TOKEN_FILE")
    return ours | joining, sorted(stray)


def fish_quote(text: str) -> str:
    """The text as one word of the fish shell."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


@contextmanager
def bad_settings_in_one_line() -> Iterator[None]:
    """Turns a SettingsError into a Failure."""
    from shared.settings import SettingsError

    try:
        yield
    except SettingsError as error:
        raise Failure(str(error)) from error
