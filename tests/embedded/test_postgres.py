import contextlib
import os
import pwd
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import psycopg
import pytest
from sqlalchemy.engine import make_url

from embedded import postgres
from embedded.ports import free_port
from embedded.postgres import postgres_program, prepare_postgres, running_postgres
from embedded.process import NotReady, running, spawn
from tests.support.environment import JWT_SECRET
from tests.support.waiting import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        yield Path(name)


@pytest.fixture(scope="module")
def stopped_server() -> Iterator[Path]:
    """The folder of a server that has run."""
    with TemporaryDirectory(ignore_cleanup_errors=True) as name:
        with running_postgres(Path(name)):
            pass
        yield Path(name)


@pytest.fixture
def used_folder(stopped_server: Path, folder: Path) -> Path:
    """A copy of that folder, because initdb takes longer than most tests."""
    subprocess.run(["cp", "-a", f"{stopped_server}/.", folder], check=True)
    return folder


def connect(url: str, password: str | None = None) -> psycopg.Connection:
    parts = make_url(url)
    return psycopg.connect(
        host=parts.host,
        port=parts.port,
        user=parts.username,
        password=parts.password if password is None else password,
        dbname=parts.database,
    )


def family(folder: Path) -> list[psutil.Process]:
    """The server's processes."""
    pid = int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0])
    server = psutil.Process(pid)
    return [server, *server.children()]


def test_the_url_leads_to_postgresql_18_with_a_utf8_database(folder: Path) -> None:
    with running_postgres(folder) as url, connect(url) as connection:
        row = connection.execute(
            "SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')"
        ).fetchone()

    assert url.startswith("postgresql+psycopg://")
    assert row == (18, "UTF8")


def test_its_environment_has_no_secret_of_ours(used_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Started by root it runs as nobody, whose other processes could read them."""
    monkeypatch.setenv("JWT_SECRET", JWT_SECRET)

    with running_postgres(used_folder):
        seen = []
        for process in family(used_folder):
            with contextlib.suppress(psutil.NoSuchProcess):  # a short one of the server's own
                seen.append(process.environ())

    assert len(seen) > 1
    assert not [environment for environment in seen if JWT_SECRET in environment.values()]


def test_rows_are_there_again_after_a_restart(used_folder: Path) -> None:
    with running_postgres(used_folder, durable=True) as url, connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS n")

    with running_postgres(used_folder, durable=True) as url, connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_another_user_of_the_machine_is_refused(used_folder: Path) -> None:
    with (
        running_postgres(used_folder) as url,
        pytest.raises(psycopg.OperationalError, match="authentication"),
    ):
        connect(url, password="a guess")

    assert (used_folder / "postgres-password").stat().st_mode & 0o077 == 0
    assert (used_folder / "postgres").stat().st_mode & 0o077 == 0


def test_nothing_of_the_server_is_left_after_the_block(used_folder: Path) -> None:
    with running_postgres(used_folder) as url, connect(url) as connection:
        connection.execute("SELECT 1")
        processes = family(used_folder)

    assert len(processes) > 1
    assert [process for process in processes if process.is_running()] == []


def test_it_comes_back_after_everything_was_killed(used_folder: Path) -> None:
    server = prepare_postgres(used_folder, free_port())
    with pytest.raises(RuntimeError, match="cut off"), running(server.program, used_folder / "log"):
        with connect(server.url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 7 AS n")
        for process in family(used_folder):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        raise RuntimeError("cut off")
    assert (used_folder / "postgres" / "postmaster.pid").exists()

    with running_postgres(used_folder, durable=True) as url, connect(url) as connection:
        assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


def test_a_pid_file_that_names_another_living_process_is_removed(used_folder: Path) -> None:
    stale = f"{os.getpid()}\n{used_folder / 'postgres'}\n"
    (used_folder / "postgres" / "postmaster.pid").write_text(stale)

    with running_postgres(used_folder) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_a_server_left_behind_in_the_folder_is_ended_first(used_folder: Path) -> None:
    server = prepare_postgres(used_folder, free_port())
    left = spawn(server.program, used_folder / "log")
    wait_until(server.program.is_ready)

    with running_postgres(used_folder) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)

    assert left.wait() in {0, -signal.SIGINT}


def test_an_interrupted_first_start_is_begun_again(folder: Path) -> None:
    half_made = folder / "postgres.new" / "base"
    half_made.mkdir(parents=True)

    with running_postgres(folder) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs it as another user")


def outside(folder: Path) -> dict[str, object]:
    """The modes of the folders above the state and the programs, and the accounts of the machine."""
    above = [*folder.parents, *postgres_program().parents]
    return {str(path): path.stat().st_mode for path in above} | {"accounts": pwd.getpwall()}


@as_root
@pytest.mark.parametrize("mode", [0o700, 0o755])
def test_root_changes_nothing_outside_of_the_folder(folder: Path, mode: int) -> None:
    above = folder / "somebody's"
    above.mkdir(mode=mode)
    ours = above / "state"
    ours.mkdir(mode=0o700)
    before = outside(ours)

    with running_postgres(ours) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert family(ours)[0].username() != "root"

    assert outside(ours) == before
    assert ours.stat().st_mode & 0o777 == 0o700


@as_root
def test_data_of_an_earlier_run_is_served_by_its_owner(used_folder: Path) -> None:
    daemon = pwd.getpwnam("daemon")
    for path in [used_folder / "postgres", *(used_folder / "postgres").rglob("*")]:
        os.chown(path, daemon.pw_uid, daemon.pw_gid)

    with running_postgres(used_folder) as url, connect(url) as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)
        assert family(used_folder)[0].username() == "daemon"


@as_root
def test_a_folder_that_cannot_be_reached_is_refused_in_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container whose root lacks these capabilities."""
    monkeypatch.setattr(postgres, "CAPABILITIES", ("",))

    with pytest.raises(
        NotReady, match=r"^postgres: PostgreSQL does not run as root, and the user nobody [^\n]*$"
    ):
        prepare_postgres(folder, free_port())

    assert list(folder.iterdir()) == []
