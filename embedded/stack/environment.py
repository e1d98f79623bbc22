"""Prepares the environment variables of a stack: removes those of others, and sets those that its programs share."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from embedded.ports import HOST
from embedded.redis import answers_ping
from embedded.secret_file import ensure_secret
from embedded.stack.joining import has_joined_a_stack, without_servers
from embedded.stack.programs import CLUSTER, LOG_GROUP, Addresses
from embedded.stack.state_folder import CONTROL_SECRET_FILE, ENCRYPTION_KEY_FILE, JWT_SECRET_FILE, CannotStart
from shared.settings import SettingsError
from shared.startup.checks import checked_settings
from shared.startup.environment import SECRETS, load_token_settings, replace_secret_files
from shared.startup.strays import NOT_USED, OF_LIBPQ, leave_out

MAX_WORKERS = 8  # PostgreSQL has 200 connections, and a worker may use 18
#: Identifies the stack's ECS, whose services are stored in the same folder. Its port may change.
INSTALLATION_FILE = "installation"

#: Secrets that a stack makes for itself, unless the user has set them, and their files.
OWN_SECRETS = {"ENCRYPTION_KEYS": ENCRYPTION_KEY_FILE, "CONTROL_SECRET": CONTROL_SECRET_FILE}

#: Variables other than our settings that the embedded ECS (moto), Flower, gunicorn and initdb read, and those of NOT_USED.
#: libpq's are not among them, because they complete a DATABASE_URL of the user.
VARIABLES_OF_OTHERS = (
    *(
        "FLOWER_",
        "GUNICORN_CMD_ARGS",
        "INITIAL_NO_AUTH_ACTION_COUNT",
        "MOTO_",
        "PGDATA",
        "SCRIPT_NAME",
        "WORKDIR",
    ),
    *(name for name in NOT_USED if name not in OF_LIBPQ),
)


def leave_joined_stack(say: Callable[[str], None]) -> None:
    """Remove the variables that `chargehand env` exported: a new stack has its own stores and its own ECS."""
    if has_joined_a_stack(os.environ):
        say(
            "This terminal has run `chargehand env`: the DATABASE_URL, REDIS_URL and AWS_* of that stack are not used."
        )
        own = without_servers(os.environ)
        for name in os.environ.keys() - own.keys():
            del os.environ[name]


def leave_out_strays(say: Callable[[str], None]) -> None:
    """Remove the variables that programs and libraries of the stack would read although they are not our settings."""
    ours = {name: os.environ[name] for name in ("FLOWER_PORT",) if name in os.environ}
    strays = leave_out(os.environ, VARIABLES_OF_OTHERS)
    os.environ |= ours
    if not _is_database_given():
        strays += leave_out(os.environ, OF_LIBPQ)
    if strays := [name for name in strays if name not in ours]:
        say(f"Not used, because they belong to other programs: {', '.join(strays)}.")


def _is_database_given() -> bool:
    return bool(os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"))


def resolve_secret_files() -> None:
    """Replace each NAME_FILE by its NAME. The programs run in the state folder, where a relative path is another file."""
    replace_secret_files(SECRETS)


def number_of_workers(text: str) -> int:
    """The number in the variable WORKERS. Raises CannotStart."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MAX_WORKERS:
        raise CannotStart(f"WORKERS={text} is not a number of workers: use a number from 1 to {MAX_WORKERS}")
    return int(text)


def check_that_redis_answers(url: str) -> None:
    """Raises CannotStart if the Redis of the user's REDIS_URL does not answer."""
    if url and not answers_ping(url):
        split = urlsplit(url)
        where = f"{split.hostname}:{split.port or 6379}" if split.hostname else split.path
        raise CannotStart(f"REDIS_URL: no Redis that takes us answers at {where}")


def share_environment(addresses: Addresses, folder: Path) -> None:
    """Set the variables of this process that all programs inherit. Raises CannotStart for a bad setting."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile or an endpoint of the shell would lead the worker to Amazon
    os.environ |= {
        "CHARGEHAND_ENV": "embedded",
        "CHARGEHAND_INSTALLATION": ensure_secret(folder / INSTALLATION_FILE, size=6),
        "STATE_DIR": str(folder),
        "BIND": addresses.api.removeprefix("http://"),
        "DATABASE_URL": addresses.database,
        "REDIS_URL": addresses.redis,
        "AWS_ENDPOINT_URL": addresses.ecs,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        # The ECS runs what its callers send it as this user, so it requires this access key.
        "AWS_ACCESS_KEY_ID": ensure_secret(folder / "ecs-access-key-id", size=12),
        "AWS_SECRET_ACCESS_KEY": ensure_secret(folder / "ecs-secret-access-key"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECS_CLUSTER": CLUSTER,
        "ECS_LOG_GROUP": LOG_GROUP,
        "CONTROL_URL": addresses.link,
        "CSMS_URL": addresses.csms,
        "FLOWER_URL": addresses.flower,
        "LINK_BIND": urlsplit(addresses.link).netloc,
        # Both spellings, because programs that read both prefer the lower-case one.
        **dict.fromkeys(("NO_PROXY", "no_proxy"), _hosts_without_proxy()),
        "PYTHONUNBUFFERED": "1",
    }
    try:
        tokens = load_token_settings()
        if not (tokens.secret or tokens.public_key or tokens.jwks_url):
            os.environ["JWT_SECRET"] = ensure_secret(folder / JWT_SECRET_FILE)
        for name, file in OWN_SECRETS.items():
            if not os.environ.get(name):
                os.environ[name] = ensure_secret(folder / file)
        checked_settings(verifies_tokens=True)
    except SettingsError as error:
        raise CannotStart(str(error)) from error


def _hosts_without_proxy() -> str:
    """The hosts of the shell's NO_PROXY, and this machine."""
    given = (os.environ.get(name) for name in ("NO_PROXY", "no_proxy"))
    return ",".join(dict.fromkeys(filter(None, [*given, HOST, "localhost"])))
