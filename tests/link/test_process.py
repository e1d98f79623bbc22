"""A link as a process: how it starts and how it ends."""

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import make_url

from embedded.ports import free_port
from embedded.process import spawn
from shared.auth.control_tokens import ControlTokens
from shared.settings import Settings
from tests.support.control_link import ControlRows, ScriptedProcess, control_url, link_program
from tests.support.environment import environment
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

ENDS_WITHIN_S = 4.0


@pytest.fixture
def postgres(settings: Settings) -> Iterator[TcpProxy]:
    proxy = TcpProxy(make_url(settings.database_url).port or 5432)
    yield proxy
    proxy.close()


class LinkUnderTest:
    def __init__(self, settings: Settings, postgres: TcpProxy, log: Path, port: int) -> None:
        url = make_url(settings.database_url).set(port=postgres.port, host="127.0.0.1")
        variables = environment(url.render_as_string(hide_password=False), settings.redis_url)
        self.url = control_url(port)
        self.program = link_program(variables, port)
        self.log = log
        self.process: subprocess.Popen[bytes] = spawn(self.program, log)

    def ends_in_s(self, number: signal.Signals | None) -> float:
        """How long it takes to end, after the signal."""
        began = monotonic()
        if number is not None:
            os.killpg(self.process.pid, number)
        self.process.wait(20)
        return monotonic() - began


@pytest.fixture
def started(settings: Settings, postgres: TcpProxy, tmp_path: Path) -> Iterator[LinkUnderTest]:
    link = LinkUnderTest(settings, postgres, tmp_path / "link.log", free_port())
    wait_until(link.program.is_ready, 30)
    yield link
    if link.process.poll() is None:
        os.killpg(link.process.pid, signal.SIGKILL)
        link.process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(
    rows: ControlRows, started: LinkUnderTest, tokens: ControlTokens, number: signal.Signals
) -> None:
    charger_id = rows.charger()
    with ScriptedProcess(started.url, charger_id, tokens.first_token(charger_id)) as process:
        process.hello()
        assert rows.is_connected(charger_id)

        assert started.ends_in_s(number) < ENDS_WITHIN_S

        assert process.close_code() == 1012
    assert started.process.returncode == 0
    assert not rows.is_connected(charger_id)


def test_a_frozen_database_does_not_hold_up_its_end(
    rows: ControlRows, started: LinkUnderTest, tokens: ControlTokens, postgres: TcpProxy
) -> None:
    charger_id = rows.charger()
    with ScriptedProcess(started.url, charger_id, tokens.first_token(charger_id)) as process:
        process.hello()
        postgres.freeze()

        assert started.ends_in_s(signal.SIGTERM) < ENDS_WITHIN_S


def test_it_waits_for_its_database(settings: Settings, postgres: TcpProxy, tmp_path: Path) -> None:
    postgres.cut()
    link = LinkUnderTest(settings, postgres, tmp_path / "link.log", free_port())
    wait_until(lambda: "link.failing" in link.log.read_text(), 30)
    assert not link.program.is_ready()

    postgres.heal()

    wait_until(link.program.is_ready, 10)
    link.ends_in_s(signal.SIGTERM)


def test_a_port_that_is_taken_is_named_in_one_line(
    settings: Settings, postgres: TcpProxy, started: LinkUnderTest, tmp_path: Path
) -> None:
    port = make_url(started.url).port or 0
    second = LinkUnderTest(settings, postgres, tmp_path / "second.log", port)

    second.ends_in_s(None)

    assert second.process.returncode == 1
    last = second.log.read_text().splitlines()[-1]
    assert last.startswith(f"chargehand: LINK_BIND=127.0.0.1:{port} cannot be used: ")
