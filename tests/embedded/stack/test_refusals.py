"""A `chargehand up` that cannot start says why, in one line where that is enough, and leaves no process."""

import re
import signal
import socket
from collections.abc import Iterator
from os import getpid
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from embedded.ports import HOST, Ports, PortUnusable, claim, free_port
from embedded.stack.environment import number_of_workers
from embedded.stack.state_folder import CannotStart
from tests.embedded.stack.up import refused, start_up
from tests.support.waiting import wait_until


@pytest.fixture
def state() -> Iterator[Path]:
    with TemporaryDirectory(prefix="chargehand-up-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_ctrl_c_during_the_start_ends_every_process(state: Path) -> None:
    """In a terminal that has run `chargehand env`, whose stores the new stack must not use."""
    elsewhere = {"DATABASE_URL": "postgresql://127.0.0.1:1/other", "REDIS_URL": "redis://127.0.0.1:1/0"}
    up = start_up(state, CHARGEHAND_INSTALLATION="other", **elsewhere)
    wait_until((state / "processes.json").exists, 20)
    assert up.pid("postgres")
    family = up.family()

    up.end(signal.SIGINT)

    assert up.process.returncode == 0
    joined, *rest = up.output.splitlines()
    assert joined.startswith("This terminal has run `chargehand env`")
    assert rest == ["Stopping."]
    assert [process for process in family if process.is_running()] == []


def test_two_programs_on_one_port_are_refused_in_one_line(tmp_path: Path) -> None:
    port = str(free_port())

    printed = refused(STATE_DIR=str(tmp_path), PORT=port, CSMS_PORT=port)

    assert printed == f"Error: PORT and CSMS_PORT are both {port}: choose another port for one of them\n"


def test_a_redis_that_does_not_answer_is_refused_in_one_line(tmp_path: Path) -> None:
    port = free_port()

    printed = refused(STATE_DIR=str(tmp_path), PORT=str(free_port()), REDIS_URL=f"redis://{HOST}:{port}/0")

    assert printed == f"Error: REDIS_URL: no Redis that takes us answers at {HOST}:{port}\n"


def test_a_taken_port_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as server:
        port = server.getsockname()[1]

        printed = refused(STATE_DIR=str(tmp_path), PORT=str(port))

    assert re.fullmatch(
        rf"Error: port {port} is taken( by \S+ \(pid {getpid()}\))?: "
        r"stop that, or choose another one with PORT\n",
        printed,
    )


@pytest.mark.parametrize("text", ["0", "65536", "70000", "-1", "+80", "80.0", "", "port", "\u0668\u0660"])
def test_a_port_is_a_number_from_1_to_65535(text: str) -> None:
    with pytest.raises(PortUnusable, match="is not a port: use a number from 1 to 65535"):
        claim("PORT", text)


@pytest.mark.parametrize("name", ["flower", "csms", "ecs", "postgres"])
def test_what_is_not_a_port_is_refused_for_every_program(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{name.upper()}_PORT", "70000")

    with pytest.raises(PortUnusable, match=f"^{name.upper()}_PORT=70000 is not a port: "):
        Ports(tmp_path / "ports.json").pick(name)


@pytest.mark.parametrize("text", ["0", "-1", "9", "1000", "1.0", "three"])
def test_a_stack_has_1_to_8_workers(text: str) -> None:
    with pytest.raises(
        CannotStart, match=f"^WORKERS={text} is not a number of workers: use a number from 1 to 8$"
    ):
        number_of_workers(text)


def test_a_state_folder_that_cannot_be_created_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()

    printed = refused(STATE_DIR=str(file / "state"), PORT=str(free_port()))

    assert printed == (
        f"Error: the state folder {file}/state is not writable (Not a directory): "
        "choose another one with STATE_DIR\n"
    )


def test_a_setting_that_is_not_valid_is_refused_in_one_line(tmp_path: Path) -> None:
    printed = refused(STATE_DIR=str(tmp_path), PORT=str(free_port()), DATABASE_URL="mysql://localhost")

    assert printed == "Error: DATABASE_URL must be a postgresql:// URL\n"


def test_a_program_that_does_not_start_is_named_with_the_end_of_its_log(state: Path) -> None:
    (state / "postgres").mkdir()
    (state / "postgres" / "PG_VERSION").write_text("9\n")

    printed = refused(STATE_DIR=str(state), PORT=str(free_port()))

    assert printed.startswith(f"Error: postgres does not start; the end of {state}/logs/postgres.log:\n")
    assert "postgresql.conf" in printed
    assert "Traceback" not in printed
