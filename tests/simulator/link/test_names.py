"""Names are resolved beside the event loop, and the end of the process does not wait for them."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from simulator.link import names
from simulator.link.names import resolve
from tests.simulator.charger import environment

#: A resolver that takes longer than any test.
SLOW = """
import socket, sys, time
socket.getaddrinfo = lambda *_, **__: time.sleep(60)
from simulator.__main__ import main
sys.exit(main())
"""


def test_a_charger_ends_in_time_while_a_name_is_being_resolved() -> None:
    environ = {**os.environ, **environment("ws://slow.example/", "OCPP1.6")}
    with subprocess.Popen([sys.executable, "-c", SLOW], env=environ, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert b'"connecting"' in process.stdout.readline()
        stopped_s = time.monotonic()
        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=10) == 0

    assert time.monotonic() - stopped_s < 5


async def test_chargers_that_need_the_same_name_at_once_share_its_lookup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also when the first of them no longer waits."""
    resolved, lookups = threading.Event(), []

    def getaddrinfo(host: str, _: int, **__: object) -> list[object]:
        lookups.append(host)
        resolved.wait(10)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))] * 2

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    waiting = [asyncio.create_task(resolve("csms.example", 80)) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await asyncio.sleep(0)
    resolved.set()

    assert await asyncio.gather(*waiting[1:]) == [["192.0.2.1"], ["192.0.2.1"]]
    assert lookups == ["csms.example"]


async def test_the_answer_of_a_lookup_serves_those_who_come_within_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(names, "SHARED_S", 0.2)
    lookups = []

    def getaddrinfo(host: str, _: int, **__: object) -> list[object]:
        lookups.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    for _ in range(3):
        assert await resolve("shared.example", 80) == ["192.0.2.1"]
    assert lookups == ["shared.example"]

    await asyncio.sleep(0.5)
    await resolve("shared.example", 80)
    assert lookups == ["shared.example"] * 2


async def test_an_address_needs_no_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threading.Thread, "start", no_thread)

    assert await resolve("127.0.0.1", 80) == ["127.0.0.1"]
    assert await resolve("2001:DB8::0:1", 80) == ["2001:db8::1"]


async def test_a_name_is_looked_up_again_after_there_was_no_thread_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", no_thread)
        with pytest.raises(OSError, match="can't start"):
            await resolve("localhost", 80)

    assert await resolve("localhost", 80)


def no_thread(_: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")


async def test_a_name_that_does_not_exist_raises_for_everyone_who_waits() -> None:
    both = await asyncio.gather(
        resolve("no-such-host.invalid", 80), resolve("no-such-host.invalid", 80), return_exceptions=True
    )

    assert all(isinstance(error, socket.gaierror) for error in both)
