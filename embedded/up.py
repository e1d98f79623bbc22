"""Runs every part of Chargehand on this machine, in the foreground, until Ctrl-C or SIGTERM: chargehand up."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from embedded.ports import HOST, Ports, PortUnusable, check_that_ports_differ, claim
from embedded.postgres import prepare_postgres
from embedded.process import NotReady
from embedded.redis import prepare_redis
from embedded.secret_file import ensure_secret
from embedded.stack.description import remove_stack_file, stack_description, write_stack_file
from embedded.stack.environment import (
    check_that_redis_answers,
    leave_joined_stack,
    leave_out_strays,
    number_of_workers,
    resolve_secret_files,
    share_environment,
)
from embedded.stack.greeting import greeting
from embedded.stack.programs import (
    FLOWER_USER,
    STORES,
    Addresses,
    csms,
    ecs,
    link,
    migration,
    services,
    store,
)
from embedded.stack.state_folder import FLOWER_PASSWORD_FILE, CannotStart, locked, state_folder
from embedded.supervisor import StopRequested, Supervisor
from shared.auth.tokens import make_token
from shared.settings import SettingsError
from shared.startup.environment import load_settings

START_WITHIN_S = 60
TOKEN_TTL_S = 86_400  # stack.json gets a new token after half of it
ORGANIZATION = "demo"


def up(say: Callable[[str], None], announce: Callable[[str], None] = lambda _: None) -> None:
    """Run all programs until a signal to stop. Raises CannotStart.

    `say` gets lines for people; `announce` gets the content of stack.json, as one line, when all programs are ready.
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
    """Start all programs, and keep them running until a signal to stop. `began` is a time of the monotonic clock."""
    remove_stack_file(folder)  # a killed run leaves it behind
    try:
        addresses = start_programs(supervisor, folder, say)
        description = describe(addresses, folder)
        write_stack_file(folder, description)
        say(greeting(description, folder, time.monotonic() - began))
        announce(json.dumps(description))
        keep_running(supervisor, folder, description, say)
    except StopRequested:
        say("Stopping.")
    finally:
        remove_stack_file(folder)
        supervisor.stop()


@contextmanager
def stopping_on_signals(supervisor: Supervisor) -> Iterator[None]:
    """Stop in order on Ctrl-C, SIGTERM or a closed terminal. More signals change nothing."""
    numbers = {signal.SIGINT, signal.SIGTERM}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # unless nohup has it ignored
        numbers.add(signal.SIGHUP)
    before = {number: signal.signal(number, lambda *_: supervisor.request_stop()) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def start_programs(supervisor: Supervisor, folder: Path, say: Callable[[str], None]) -> Addresses:
    """Start all programs and wait until they are ready.

    Raises CannotStart, NotReady, PortUnusable, SettingsError or StopRequested.
    """
    leave_out_strays(say)
    resolve_secret_files()
    check_that_ports_differ(os.environ)
    workers = number_of_workers(os.environ.get("WORKERS") or "1")
    given_redis = os.environ.get("REDIS_URL", "")
    addresses = choose_addresses(supervisor, folder)
    share_environment(addresses, folder)
    check_that_redis_answers(given_redis)
    for program in (ecs(addresses, folder), csms(addresses, folder)):
        supervisor.start(program)
    supervisor.wait_until_ready(START_WITHIN_S, layer=STORES)
    supervisor.run_once(migration(folder))
    for program in (link(addresses, folder), *services(addresses, folder, workers)):
        supervisor.start(program)
    supervisor.wait_until_ready(START_WITHIN_S)
    return addresses


def choose_addresses(supervisor: Supervisor, folder: Path) -> Addresses:
    """Pick the ports, and start PostgreSQL and Redis unless DATABASE_URL and REDIS_URL name servers of the user."""
    api_port = claim("PORT", os.environ.get("PORT") or "8000")
    ports = Ports(folder / "ports.json")
    return Addresses(
        api=f"http://{HOST}:{api_port}",
        flower=f"http://{HOST}:{ports.pick('flower')}",
        csms=f"ws://{HOST}:{ports.pick('csms')}/ocpp",
        ecs=f"http://{HOST}:{ports.pick('ecs')}",
        link=f"ws://{HOST}:{ports.pick('link')}/control",
        database=os.environ.get("DATABASE_URL") or start_postgres(supervisor, folder, ports),
        redis=os.environ.get("REDIS_URL") or start_redis(supervisor, folder, ports),
    )


def start_postgres(supervisor: Supervisor, folder: Path, ports: Ports) -> str:
    """Start PostgreSQL. Returns its URL, before it is ready."""
    server = prepare_postgres(folder, ports.pick("postgres"))
    supervisor.start(store(server.program))
    return server.url


def start_redis(supervisor: Supervisor, folder: Path, ports: Ports) -> str:
    """Start Redis. Returns its URL, before it is ready."""
    server = prepare_redis(folder, ports.pick("redis"))
    supervisor.start(store(server.program))
    return server.url


def describe(addresses: Addresses, folder: Path) -> dict[str, Any]:
    """The content of stack.json."""
    return stack_description(
        **asdict(addresses),
        folder=folder,
        flower_user=FLOWER_USER,
        flower_password=ensure_secret(folder / FLOWER_PASSWORD_FILE),
        organization=ORGANIZATION,
        token=demo_token(),
    )


def keep_running(
    supervisor: Supervisor, folder: Path, description: dict[str, Any], say: Callable[[str], None]
) -> NoReturn:
    """Restart programs that die, and renew the token of stack.json in time. Raises StopRequested."""
    supervisor.watch(lambda: renew_token(folder, description, say), every_s=token_ttl_s() / 2)


def renew_token(folder: Path, description: dict[str, Any], say: Callable[[str], None]) -> None:
    """Write stack.json with a new token."""
    try:
        write_stack_file(folder, description | {"token": demo_token()})
    except OSError as error:
        say(f"stack.json cannot be written ({error.strerror}): its token expires within a day")


def token_ttl_s() -> int:
    """How long a token of stack.json is valid, in seconds."""
    return min(TOKEN_TTL_S, load_settings().tokens.max_age_s or TOKEN_TTL_S)


def demo_token() -> str | None:
    """A token for the organization ORGANIZATION; None if JWT_PUBLIC_KEY or JWT_JWKS_URL says that others sign tokens."""
    tokens = load_settings().tokens
    try:
        return make_token(
            tokens, subject="developer", organization_id=ORGANIZATION, role="user", ttl_s=token_ttl_s()
        )
    except SettingsError:
        return None
