"""chargehand up: every part of Chargehand on this machine, in the foreground, until Ctrl-C or SIGTERM."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from embedded.greeting import greeting
from embedded.joining import has_joined_a_stack, without_places
from embedded.ports import HOST, Ports, PortUnusable, answers, check_that_ports_differ, claim, why_no_answer
from embedded.postgres import prepare_postgres
from embedded.process import NotReady, Program, has_started
from embedded.redis import answers_ping, prepare_redis
from embedded.secret_file import ensure_secret
from embedded.stack_file import remove_stack_file, stack_description, write_stack_file
from embedded.state import FLOWER_PASSWORD_FILE, JWT_SECRET_FILE, CannotStart, locked, state_folder
from embedded.supervisor import StopAsked, Supervisor
from shared.auth.tokens import make_token
from shared.settings import SettingsError
from shared.startup.checks import checked_settings
from shared.startup.environment import SECRETS, load_settings, load_token_settings, replace_secret_files
from shared.startup.strays import NOT_USED, OF_LIBPQ, leave_out

START_WITHIN_S = 60
TOKEN_TTL_S = 86_400  # renewed in stack.json at half of it
ORGANIZATION = "demo"
CLUSTER = "chargehand"
LOG_GROUP = "/chargehand/chargers"
FLOWER_USER = "chargehand"
FLOWER_TASKS = 10_000  # kept in its memory; its own default is ten times as many
INSTALLATION_FILE = (
    "installation"  # names our ECS, whose services lie in the same folder: its port may change
)
MOST_WORKERS = 8  # PostgreSQL has 200 connections, of which a worker may use 18

#: Read past our settings by what runs here: the embedded ECS (moto), Flower, gunicorn, initdb, and all of NOT_USED but
#: for libpq's, which add to a DATABASE_URL of somebody's own.
OF_OTHERS = (
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

# Programs of a higher layer use those below, and stop before them. What each may take adds up to
# less than 15 s, because a layer stops at once.
STORES, CSMS, ECS, SERVICES = range(4)


@dataclass(frozen=True)
class Addresses:
    """Where everything is."""

    api: str
    flower: str
    csms: str
    ecs: str
    database: str
    redis: str


def up(say: Callable[[str], None], announce: Callable[[str], None] = lambda _: None) -> None:
    """Run everything until somebody asks to stop. Raises CannotStart.

    `announce` gets one line of JSON, the content of stack.json, when all is ready.
    """
    began = time.monotonic()
    folder = state_folder()
    leave_joined_stack(say)
    with locked(folder):
        try:
            supervisor = Supervisor(folder, say)
            with stopping_on_signals(supervisor):
                run(supervisor, folder, say, announce, began)
        except (PortUnusable, NotReady, SettingsError) as error:
            raise CannotStart(str(error)) from error
        except OSError as error:
            raise CannotStart(": ".join(filter(None, (error.filename, error.strerror)))) from error


def run(
    supervisor: Supervisor,
    folder: Path,
    say: Callable[[str], None],
    announce: Callable[[str], None],
    began: float,
) -> None:
    remove_stack_file(folder)  # of a run that was killed
    try:
        addresses = start_programs(supervisor, folder, say)
        description = describe(addresses, folder)
        write_stack_file(folder, description)
        say(greeting(description, folder, time.monotonic() - began))
        announce(json.dumps(description))
        supervisor.watch(lambda: renew_token(folder, description, say), every_s=token_ttl_s() / 2)
    except StopAsked:
        say("Stopping.")
    finally:
        remove_stack_file(folder)
        supervisor.stop()


@contextmanager
def stopping_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed terminal stop everything in order. Impatience does not change that."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
        numbers.add(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: supervisor.request_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start_programs(supervisor: Supervisor, folder: Path, say: Callable[[str], None]) -> Addresses:
    """Start everything and wait until the API is ready. Raises NotReady, PortUnusable, SettingsError or StopAsked."""
    leave_out_strays(say)
    resolve_secret_files()
    check_that_ports_differ(os.environ)
    workers = number_of_workers(os.environ.get("WORKERS") or "1")
    api_port = claim("PORT", os.environ.get("PORT") or "8000")
    ports = Ports(folder / "ports.json")
    addresses = Addresses(
        api=f"http://{HOST}:{api_port}",
        flower=f"http://{HOST}:{ports.pick('flower')}",
        csms=f"ws://{HOST}:{ports.pick('csms')}/ocpp",
        ecs=f"http://{HOST}:{ports.pick('ecs')}",
        database=os.environ.get("DATABASE_URL") or start_postgres(supervisor, folder, ports),
        redis=os.environ.get("REDIS_URL") or start_redis(supervisor, folder, ports),
    )
    given_redis = os.environ.get("REDIS_URL", "")
    share_environment(addresses, folder)
    check_that_redis_answers(given_redis)
    for program in (ecs(addresses, folder), csms(addresses, folder)):
        supervisor.start(program)
    supervisor.wait_until_ready(START_WITHIN_S, layer=STORES)
    supervisor.run_once(Program("migrate", python("chargehand", "migrate"), cwd=folder))
    for program in services(addresses, folder, workers):
        supervisor.start(program)
    supervisor.wait_until_ready(START_WITHIN_S)
    return addresses


def leave_joined_stack(say: Callable[[str], None]) -> None:
    """Forget what `chargehand env` exported: a stack that is started here has its own stores and its own ECS."""
    if has_joined_a_stack(os.environ):
        say(
            "This terminal has run `chargehand env`: the DATABASE_URL, REDIS_URL and AWS_* of that stack are not used."
        )
        own = without_places(os.environ)
        for name in os.environ.keys() - own.keys():
            del os.environ[name]


def leave_out_strays(say: Callable[[str], None]) -> None:
    """Forget what a program or a library that we start would obey by itself."""
    ours = {name: os.environ[name] for name in ("FLOWER_PORT",) if name in os.environ}
    strays = leave_out(os.environ, OF_OTHERS)
    os.environ |= ours
    if not given_database():
        strays += leave_out(os.environ, OF_LIBPQ)
    if strays := [name for name in strays if name not in ours]:
        say(f"Not used, because they belong to other programs: {', '.join(strays)}.")


def given_database() -> bool:
    return bool(os.environ.get("DATABASE_URL") or os.environ.get("DATABASE_URL_FILE"))


def check_that_redis_answers(url: str) -> None:
    """Raises CannotStart when nothing answers at the REDIS_URL of the shell; our own is started and waited for."""
    if url and not answers_ping(url):
        split = urlsplit(url)
        where = f"{split.hostname}:{split.port or 6379}" if split.hostname else split.path
        raise CannotStart(f"REDIS_URL: no Redis that takes us answers at {where}")


def resolve_secret_files() -> None:
    """Read the files here and once: our programs run in the state folder, where a relative path leads elsewhere."""
    replace_secret_files(SECRETS)


def number_of_workers(text: str) -> int:
    """Raises CannotStart."""
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text) <= MOST_WORKERS:
        raise CannotStart(f"WORKERS={text} is not a number of workers: use a number from 1 to {MOST_WORKERS}")
    return int(text)


def start_postgres(supervisor: Supervisor, folder: Path, ports: Ports) -> str:
    server = prepare_postgres(folder, ports.pick("postgres"))
    supervisor.start(replace(server.program, layer=STORES, stop_within_s=3))
    return server.url


def start_redis(supervisor: Supervisor, folder: Path, ports: Ports) -> str:
    server = prepare_redis(folder, ports.pick("redis"))
    supervisor.start(replace(server.program, layer=STORES, stop_within_s=3))
    return server.url


def share_environment(addresses: Addresses, folder: Path) -> None:
    """Make our own environment the one that all our programs get. Raises CannotStart for a bad variable."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]  # a profile or an endpoint of the shell would lead the worker to the real AWS
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
        # Only who has these may call our ECS, which runs what it is given as this user.
        "AWS_ACCESS_KEY_ID": ensure_secret(folder / "ecs-access-key-id", size=12),
        "AWS_SECRET_ACCESS_KEY": ensure_secret(folder / "ecs-secret-access-key"),
        "AWS_EC2_METADATA_DISABLED": "true",
        "ECS_CLUSTER": CLUSTER,
        "ECS_LOG_GROUP": LOG_GROUP,
        # In both spellings, because the lower-case one wins where a shell has set it.
        **dict.fromkeys(("NO_PROXY", "no_proxy"), without_proxy()),
        "PYTHONUNBUFFERED": "1",
    }
    try:
        tokens = load_token_settings()
        if not (tokens.secret or tokens.public_key or tokens.jwks_url):
            os.environ["JWT_SECRET"] = ensure_secret(folder / JWT_SECRET_FILE)
        checked_settings(verifies_tokens=True)
    except SettingsError as error:
        raise CannotStart(str(error)) from error


def without_proxy() -> str:
    """The hosts that are not reached by a proxy: the shell's, and this machine."""
    given = (os.environ.get(name) for name in ("NO_PROXY", "no_proxy"))
    return ",".join(dict.fromkeys(filter(None, [*given, HOST, "localhost"])))


def ecs(addresses: Addresses, folder: Path) -> Program:
    state = ("--state-dir", str(folder / "ecs"), "--cluster", CLUSTER, "--log-group", LOG_GROUP)
    return Program(
        name="ecs",
        argv=python("embedded.ecs", "--port", port_of(addresses.ecs), *state),
        is_ready=answers(f"{addresses.ecs}/_chargehand/health"),
        why_not=why_no_answer(f"{addresses.ecs}/_chargehand/health"),
        cwd=folder,
        layer=ECS,
        stop_within_s=6,
    )


def csms(addresses: Addresses, folder: Path) -> Program:
    port = port_of(addresses.csms)
    return Program(
        name="csms",
        argv=python("embedded.csms", "--port", port),
        is_ready=answers(f"http://{HOST}:{port}/health"),
        why_not=why_no_answer(f"http://{HOST}:{port}/health"),
        cwd=folder,
        layer=CSMS,
        stop_within_s=1,
    )


def services(addresses: Addresses, folder: Path, workers: int) -> Iterator[Program]:
    """What a cloud would run: the same programs, with the same code."""
    probes = {"api": f"{addresses.api}/ready", "flower": f"{addresses.flower}/healthcheck"}
    password = ensure_secret(folder / FLOWER_PASSWORD_FILE)
    celery = ("celery", "-A", "worker.celery_app")
    pool = ("-c", "16", "-Q", "lifecycle,provisioning,maintenance", "--without-gossip", "--without-mingle")
    names = ["worker"] if workers == 1 else [f"worker{number}" for number in range(1, workers + 1)]
    # The password goes by the environment, because the arguments of a process are for everyone to see.
    flower_environment = {**os.environ, "FLOWER_BASIC_AUTH": f"{FLOWER_USER}:{password}"}
    for name, argv, env in (
        ("api", ("gunicorn", "-c", "python:api.gunicorn_conf", "api.wsgi:app"), None),
        *((name, (*celery, "worker", *pool, "-n", f"{name}@%h"), None) for name in names),
        ("beat", (*celery, "beat"), None),
        (
            "flower",
            (
                *(*celery, "flower", f"--address={HOST}", f"--port={port_of(addresses.flower)}"),
                f"--max-tasks={FLOWER_TASKS}",
            ),
            flower_environment,
        ),
    ):
        yield Program(
            name=name,
            argv=python(*argv),
            is_ready=answers(probes[name]) if name in probes else has_started,
            why_not=why_no_answer(probes[name]) if name in probes else str,
            env=env,
            cwd=folder,
            layer=SERVICES,
            stop_within_s=4,
        )


def python(module: str, *arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module, *arguments)


def port_of(url: str) -> str:
    return str(urlsplit(url).port)


def describe(addresses: Addresses, folder: Path) -> dict[str, Any]:
    """What stack.json says."""
    return stack_description(
        **asdict(addresses),
        folder=folder,
        flower_user=FLOWER_USER,
        flower_password=ensure_secret(folder / FLOWER_PASSWORD_FILE),
        organization=ORGANIZATION,
        token=demo_token(),
    )


def renew_token(folder: Path, description: dict[str, Any], say: Callable[[str], None]) -> None:
    """Write stack.json with a new token, before the old one expires."""
    try:
        write_stack_file(folder, description | {"token": demo_token()})
    except OSError as error:
        say(f"stack.json cannot be written ({error.strerror}): its token expires within a day")


def token_ttl_s() -> int:
    """How long a token of stack.json is valid."""
    return min(TOKEN_TTL_S, load_settings().tokens.max_age_s or TOKEN_TTL_S)


def demo_token() -> str | None:
    """None where somebody else signs tokens, as JWT_PUBLIC_KEY or JWT_JWKS_URL say."""
    tokens = load_settings().tokens
    try:
        return make_token(
            tokens, subject="developer", organization_id=ORGANIZATION, role="user", ttl_s=token_ttl_s()
        )
    except SettingsError:
        return None
