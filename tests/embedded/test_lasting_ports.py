"""Which port a part of `make run` listens on, from one start to the next."""

import socket
from pathlib import Path

import pytest

from embedded.ports import HOST, USUAL_PORTS, Ports, free_port


@pytest.fixture
def usual(monkeypatch: pytest.MonkeyPatch) -> int:
    """A usual port of the CSMS that no other program on this machine uses."""
    monkeypatch.delenv("CSMS_PORT", raising=False)
    port = free_port()
    monkeypatch.setitem(USUAL_PORTS, "csms", port)
    return port


def test_the_csms_and_flower_have_ports_that_people_know() -> None:
    assert USUAL_PORTS == {"csms": 9000, "flower": 5555}


def test_a_part_gets_its_usual_port(usual: int, tmp_path: Path) -> None:
    assert Ports(tmp_path / "ports.json").pick("csms") == usual
    assert Ports(tmp_path / "ports.json").pick("csms") == usual


def test_a_part_whose_usual_port_is_taken_keeps_the_other_one_that_its_chargers_know(
    usual: int, tmp_path: Path
) -> None:
    with socket.create_server((HOST, usual)):
        other = Ports(tmp_path / "ports.json").pick("csms")

    assert other != usual
    assert Ports(tmp_path / "ports.json").pick("csms") == other
