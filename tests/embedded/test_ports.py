import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from embedded.ports import HOST, Ports, PortUnusable, claim, free_port


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A system that refuses every port for the reason of the parameter: root is not easily refused."""
    number: int = request.param

    def bind(_self: socket.socket, _address: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(socket.socket, "bind", bind)
    return os.strerror(number)


EVERY_OTHER_REASON = [errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL, errno.ENOBUFS]


def test_a_port_that_another_process_holds_is_taken_by_that_one() -> None:
    with socket.socket() as other:
        other.bind((HOST, 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(PortUnusable, match=rf"^port {port} is taken( by .* \(pid {os.getpid()}\))?: "):
            claim("PORT", str(port))


@pytest.mark.parametrize("refusing", EVERY_OTHER_REASON, indirect=True)
def test_a_port_that_cannot_be_had_for_another_reason_is_not_called_taken(refusing: str) -> None:
    with pytest.raises(PortUnusable) as refused:
        claim("PORT", "80")

    assert refusing in str(refused.value)
    assert "taken" not in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("refusing", [*EVERY_OTHER_REASON, errno.EADDRINUSE], indirect=True)
def test_a_machine_without_any_port_is_one_line(refusing: str, tmp_path: Path) -> None:
    with pytest.raises(PortUnusable) as refused:
        Ports(tmp_path / "ports.json").pick("ecs")

    assert refusing in str(refused.value) or "all ports from 20000 to 31999 are taken" in str(refused.value)


def test_the_redis_of_last_resort_says_in_one_line_why_it_cannot_listen(tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text("secret")
    with socket.socket() as other:
        other.bind((HOST, port := free_port()))
        other.listen()
        command = [sys.executable, "-m", "embedded.redis_server", "--port", str(port)]
        command += ["--password-file", str(password)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (1, f"{HOST}:{port}: Address already in use\n")
