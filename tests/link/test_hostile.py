"""A process that breaks the protocol loses its own connection, with one line in the log, and no other session notices."""

import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import pytest
from websockets.exceptions import ConnectionClosed

from link.process import Link
from tests.link.conftest import Connect
from tests.support.control_link import ControlRows, ScriptedProcess, control_url
from tests.support.proxy import TcpProxy
from tests.support.waiting import wait_until

MEGABYTE = 1024 * 1024


def deep(process: ScriptedProcess) -> dict[str, object]:
    """What a writer that is not ours can write: the reader takes more levels than the writer."""
    value: dict[str, object] = {}
    for _ in range(200):
        value = {"a": value}
    return {"charger": process.charger_id, "result": value, "memory": {"secrets": value}}


#: What a process sends after its hello, and the code with which the link closes.
ATTACKS: dict[str, tuple[Callable[[ScriptedProcess], object], int]] = {
    "no JSON": (lambda process: process.socket.send("{"), 4000),
    "bytes": (lambda process: process.socket.send(b"{}"), 4000),
    "no type": (lambda process: process.socket.send("[1]"), 4000),
    "a bad result": (lambda process: process.say("results", results=[{"id": 1}]), 4000),
    "a huge frame": (lambda process: process.socket.send("x" * (2 * MEGABYTE)), 1009),
    "a lone surrogate": (lambda process: process.socket.send('{"type":"\\ud800"}'), 4000),
    "deep nesting": (lambda process: process.socket.send('{"type":' + "[" * 500_000), 4000),
    "a deep result": (
        lambda process: process.say("results", results=[deep(process) | {"id": 1, "status": "applied"}]),
        4000,
    ),
    "a deep memory": (lambda process: process.say("memories", memories=[deep(process)]), 4000),
    "another's charger": (
        lambda process: process.say("states", states=[{"charger": "dep-other", "csms": None}]),
        4003,
    ),
    "many pings": (lambda process: [process.socket.ping() for _ in range(200)], 4029),
}


@pytest.mark.parametrize(("attack", "code"), ATTACKS.values(), ids=ATTACKS)
def test_what_breaks_the_protocol_ends_its_own_session_only(
    rows: ControlRows,
    connect: Connect,
    capfd: pytest.CaptureFixture[str],
    attack: Callable[[ScriptedProcess], object],
    code: int,
) -> None:
    hostile, other = (connect(rows.charger(identity)) for identity in ("CP-1", "CP-2"))
    hostile.hello()
    other.hello()
    capfd.readouterr()

    with suppress(ConnectionClosed):
        attack(hostile)
    assert hostile.close_code() == code

    wait_until(lambda: not rows.is_connected(hostile.charger_id))
    other.apply(rows.action(other.charger_id))
    written = capfd.readouterr()
    assert "Traceback" not in written.out + written.err


@pytest.mark.parametrize("first", ['{"type":"results","results":[]}', "{", '{"type":"hello"}'])
def test_a_first_frame_that_is_no_hello_is_refused(rows: ControlRows, connect: Connect, first: str) -> None:
    process = connect(rows.charger())

    process.socket.send(first)

    assert process.close_code() == 4000


def test_a_process_that_says_nothing_is_not_waited_for(
    rows: ControlRows, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("link.conversation.HELLO_WITHIN_S", 0.2)

    assert connect(rows.charger()).close_code() == 4000


def test_what_is_no_websocket_writes_no_traceback(
    link: Link, rows: ControlRows, connect: Connect, capfd: pytest.CaptureFixture[str]
) -> None:
    address = urlsplit(link.url)
    for garbage in (
        b"\x16\x03\x01\x02\x00",
        b"GET /control HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"",
    ):
        with socket.create_connection((address.hostname, address.port), timeout=5) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(4096):
                pass

    charger_id = rows.charger()
    connect(charger_id).hello()
    written = capfd.readouterr()
    assert "Traceback" not in written.out + written.err


def test_a_flood_slows_only_its_sender(rows: ControlRows, connect: Connect) -> None:
    flooding, other = (connect(rows.charger(identity)) for identity in ("CP-1", "CP-2"))
    flooding.hello()
    other.hello()
    sent: list[int] = []

    def flood() -> None:
        with suppress(ConnectionClosed, OSError):
            while len(sent) < 100_000:
                flooding.report(csms={"detail": "x" * 1000})
                sent.append(1)

    thread = threading.Thread(target=flood, daemon=True)
    thread.start()
    for _ in range(20):
        other.apply(rows.action(other.charger_id))

    assert len(sent) < 20_000, "the link reads no further, and the buffers between are full"
    flooding.socket.socket.shutdown(socket.SHUT_RDWR)
    thread.join(10)


def test_a_process_that_reads_nothing_delays_nobody(
    rows: ControlRows, connect: Connect, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("link.session.MAX_UNSENT_CHARACTERS", 2 * MEGABYTE)
    proxy = TcpProxy(urlsplit(link.url).port or 0)
    deaf = connect(rows.charger("CP-1"), url=control_url(proxy.port))
    other = connect(rows.charger("CP-2"))
    deaf.hello()
    other.hello()
    proxy.freeze()

    for _ in range(80):
        rows.action(deaf.charger_id, event={"padding": "x" * 200_000})

    other.apply(rows.action(other.charger_id))
    wait_until(lambda: not rows.is_connected(deaf.charger_id), within_s=15)  # sends time out after 20
    proxy.close()
