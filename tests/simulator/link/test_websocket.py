"""Where a charger connects, and how it reports a connection that fails or ends."""

import asyncio
import json
import os
import socket
import threading
from base64 import b64encode
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request
from websockets.typing import Subprotocol

from simulator.link import connection, websocket
from simulator.link.websocket import MAX_FRAME_BYTES, retry_delays
from simulator.settings import Settings
from tests.simulator.charger import ChargerProcess, LocalCharger
from tests.simulator.tls import certify, server_tls
from tests.support.csms import Csms

SUBPROTOCOL = {"OCPP1.6": "ocpp1.6", "OCPP2.0.1": "ocpp2.0.1"}


@pytest.mark.parametrize(
    ("ws_url", "reason", "words"),
    [
        (
            "ws://no-such-host.invalid/",
            "dns_failure",
            "no-such-host.invalid cannot be resolved: Name or service not known",
        ),
        ("ws://127.0.0.1:9/", "connection_refused", "nothing listens on 127.0.0.1:9"),
        ("ws://169.254.169.254/", "address_forbidden", "where no CSMS may be"),
        ("ws://[fe80::1]/", "address_forbidden", "where no CSMS may be"),
        ("ws://2852039166/", "address_forbidden", "169.254.169.254"),
    ],
)
async def test_a_charger_says_why_it_cannot_connect(ws_url: str, reason: str, words: str) -> None:
    async with LocalCharger(ws_url) as charger:
        event = await charger.connection("disconnected", reason)

    assert words in event["detail"]


@pytest.mark.parametrize(
    ("status", "location", "reason"),
    [
        (401, "", "http_401"),
        (403, "", "http_403"),
        (404, "", "http_404"),
        (503, "", "http_503"),
        (307, "ws://localhost:9/elsewhere", "http_307"),
    ],
)
async def test_a_refused_handshake_is_reported_with_its_http_status(
    status: int, location: str, reason: str
) -> None:
    async with Csms(admit=lambda _: (status, location)) as csms, LocalCharger(csms.url) as charger:
        event = await charger.connection("disconnected", reason)

    assert f"HTTP {status}" in event["detail"]
    assert {request.path for request in csms.requests} == {"/ocpp/CP-1"}


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("hangs_up", [True, False])
async def test_a_server_that_does_not_speak_websocket_is_reported_as_such(
    scheme: str, hangs_up: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also one that keeps the connection open, as a mail server does: it has answered."""
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.2)
    certificate = certify()
    (tmp_path / "ca.pem").write_bytes(certificate[0])

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        writer.write(b"220 mail.example ESMTP\r\n")
        if hangs_up:
            writer.close()
        else:
            writer.transport.pause_reading()  # type: ignore[attr-defined]

    writers: list[asyncio.StreamWriter] = []
    tls = server_tls(certificate, tmp_path) if scheme == "wss" else None
    async with await asyncio.start_server(greet, "127.0.0.1", ssl=tls) as server:
        url = f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with LocalCharger(url, open_timeout_s=5, ca_file=tmp_path / "ca.pem") as charger:
            await charger.connection("disconnected", "not_a_websocket", within_s=3)
        for writer in writers:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()


async def test_a_server_that_never_answers_is_given_up_in_time() -> None:
    def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        waiting.append((reader, writer))

    waiting: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    async with await asyncio.start_server(wait, "127.0.0.1") as server:
        port = server.sockets[0].getsockname()[1]
        async with LocalCharger(f"ws://127.0.0.1:{port}/", open_timeout_s=0.2) as charger:
            await charger.connection("disconnected", "connection_timeout")
        async with LocalCharger(f"wss://127.0.0.1:{port}/", open_timeout_s=0.2) as charger:
            await charger.connection("disconnected", "tls_failure")
        for _, writer in waiting:
            writer.transport.abort()


async def test_a_csms_that_says_goodbye_and_keeps_the_tcp_connection_is_left_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The client waits for the server to close, for a limited time (RFC 6455, 7.1.1)."""
    monkeypatch.setattr(websocket, "CLOSE_TIMEOUT_S", 0.2)

    async def say_goodbye(csms: ServerConnection) -> None:
        csms.transport.pause_reading()
        csms.transport.write(b"\x88\x02\x03\xe9")
        await csms.wait_closed()

    async with serve(say_goodbye, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with LocalCharger(f"ws://127.0.0.1:{port}/") as charger:
            event = await charger.connection("disconnected", "closed_by_csms", within_s=2)
        assert "1001" in event["detail"]
        for csms in server.connections:
            csms.transport.abort()


class SmallBuffer(connection.Connection):
    """Hands little to the system, which else takes megabytes before a send has to wait."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        super().connection_made(transport)


async def test_a_csms_that_sends_and_never_reads_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the charger would wait without end to send, and could neither reconnect nor be switched off."""
    monkeypatch.setattr(connection, "SEND_TIMEOUT_S", 0.3)
    monkeypatch.setattr(websocket, "Connection", SmallBuffer)

    async def never_read(csms: ServerConnection) -> None:
        boot = json.loads(await csms.recv())
        accepted = {"status": "Accepted", "currentTime": "2030-01-01T00:00:00Z", "interval": 300}
        csms.transport.pause_reading()
        await csms.send(json.dumps([3, boot[1], accepted]))
        for number in range(200):
            await csms.send(json.dumps([2, str(number), "GetConfiguration", {}]))
        await csms.wait_closed()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        async with (
            serve(
                never_read, sock=listener, subprotocols=[Subprotocol("ocpp1.6")], ping_interval=None
            ) as server,
            LocalCharger(f"ws://127.0.0.1:{listener.getsockname()[1]}/") as charger,
        ):
            await charger.connection("disconnected", "connection_lost", within_s=8)
            for csms in server.connections:
                csms.transport.abort()


@pytest.mark.parametrize("version", ["OCPP1.6", "OCPP2.0.1"])
@pytest.mark.parametrize("spoken", [(), ("soap",)])
async def test_a_csms_of_another_version_is_reported_by_its_subprotocol(
    version: str, spoken: tuple[str, ...]
) -> None:
    """One without subprotocols opens the connection all the same, one with others refuses it."""
    async with Csms(subprotocols=spoken) as csms, LocalCharger(csms.url, version) as charger:
        event = await charger.connection("disconnected", "subprotocol_not_accepted")

    assert SUBPROTOCOL[version] in event["detail"]
    assert "connected" not in charger.states()


async def test_a_closed_connection_and_a_broken_one_are_reported_differently() -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        first = await csms.accepted()
        await first.socket.close(1008, "go away")
        closed = await charger.connection("disconnected", "closed_by_csms")
        second = await csms.link(2)

        second.socket.transport.abort()

        await charger.connection("disconnected", "connection_lost")
    assert "1008 go away" in closed["detail"]


async def test_a_frame_beyond_the_limit_ends_the_connection_and_not_the_charger() -> None:
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        first = await csms.accepted()

        await first.socket.send("x" * (MAX_FRAME_BYTES + 1))

        await charger.connection("disconnected", "frame_too_big")
        await csms.link(2)


async def test_the_password_is_sent_as_basic_authentication_and_never_printed() -> None:
    password = 'se"cret-Passw0rd'
    credentials = b64encode(f"CP-1:{password}".encode()).decode()

    def admit(request: Request) -> tuple[int, str] | None:
        return None if request.headers.get("Authorization") == f"Basic {credentials}" else (401, "")

    async with Csms(admit=admit) as csms, ChargerProcess(csms.url, password=password) as charger:
        link = await csms.accepted()
        await link.socket.send(json.dumps([2, "1", "DataTransfer", {"vendorId": "x", "data": password}]))
        echo = await charger.event(lambda event: event.get("action") == "DataTransfer")

    assert "***" in echo["message"]
    printed = b"".join(charger.lines).decode()
    assert "Passw0rd" not in printed
    assert credentials not in printed


async def test_tls_is_checked_against_the_given_ca(tmp_path: Path) -> None:
    trusted, untrusted = certify(), certify()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(trusted[0])

    async with (
        Csms(tls=server_tls(trusted, tmp_path)) as csms,
        LocalCharger(csms.url, ca_file=ca_file) as charger,
    ):
        await charger.connection("accepted")
    async with (
        Csms(tls=server_tls(untrusted, tmp_path)) as csms,
        LocalCharger(csms.url, ca_file=ca_file) as charger,
    ):
        event = await charger.connection("disconnected", "tls_failure")
    assert "certificate" in event["detail"]


async def test_a_ca_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "missing.pem"

    async with LocalCharger("wss://127.0.0.1:9/", ca_file=missing) as charger:
        event = await charger.connection("disconnected", "tls_failure")

    assert str(missing) in event["detail"]


async def test_tls_reads_with_a_small_buffer_and_a_context_that_is_shared(tmp_path: Path) -> None:
    """A context takes 20 ms and 0.8 MB, and asyncio's read buffer 256 KiB: too much for each of many chargers."""
    trusted = certify()
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(trusted[0])
    async with (
        Csms(tls=server_tls(trusted, tmp_path)) as csms,
        LocalCharger(csms.url, ca_file=ca_file) as first,
        LocalCharger(csms.url, ca_file=ca_file) as second,
    ):
        await first.connection("accepted")
        await second.connection("accepted")
        contexts = {id(websocket.tls_context(charger.model.settings.ca_file)) for charger in (first, second)}
        transports = [link.socket.transport for link in csms.links]
        assert len(contexts) == 1
        assert max(len(each._ssl_protocol._ssl_buffer) for each in transports) <= 16 * 1024  # type: ignore[attr-defined]

        os.utime(ca_file, ns=(1, 1))

        assert id(websocket.tls_context(first.model.settings.ca_file)) not in contexts


async def test_a_csms_that_floods_with_pings_is_given_up() -> None:
    """They are answered before any rate of frames counts: one CSMS held up the whole process for seconds."""
    async with Csms() as csms, LocalCharger(csms.url) as charger:
        link = await csms.accepted()
        for _ in range(20):
            link.socket.protocol.send_ping(b"")
        link.socket.send_data()
        charger.model.registration.send_heartbeat()
        await link.next("Heartbeat")

        for _ in range(5000):
            link.socket.protocol.send_ping(b"")
        link.socket.send_data()

        event = await charger.connection("disconnected", "protocol_error")
        await csms.link(2)
    assert event["detail"] == "the CSMS sent too many pings"


@pytest.mark.parametrize("deny", ["", "private"])
async def test_a_name_that_is_not_resolved_in_time_is_given_up(
    deny: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [] if resolved.wait(10) else None)

    url = f"ws://slow-{deny or 'allowed'}.example/"  # the answer serves others for a second
    async with LocalCharger(url, open_timeout_s=0.1, ws_url_deny=deny) as charger:
        event = await charger.connection("disconnected", "address_forbidden" if deny else "dns_failure")
        resolved.set()

    assert deny or "no answer within 0.1 s" in event["detail"]


async def test_a_charger_does_not_go_where_the_operator_forbids_it() -> None:
    async with Csms() as csms, LocalCharger(csms.url, ws_url_deny="private") as charger:
        event = await charger.connection("disconnected", "address_forbidden")

    assert event["detail"] == "localhost has no address that a charger may connect to here"
    assert csms.requests == []


def test_the_waits_between_reconnects_grow_up_to_a_limit() -> None:
    settings = Settings(identity="CP-1", ws_url="ws://csms", retry_wait_s=1, retry_random_s=0, retry_max_s=20)

    delays = retry_delays(settings)

    assert [next(delays) for _ in range(7)] == [1, 2, 4, 8, 16, 20, 20]
