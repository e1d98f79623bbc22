"""What a client of the HTTP API can do to the charger: no more than take one of its connections for a while."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx
import pytest

from simulator.http_api import connection
from simulator.http_api.app import MAX_BODY_BYTES
from simulator.http_api.door import open_http_api
from simulator.http_api.server import MAX_HEAD_BYTES
from tests.simulator.charger import LocalCharger
from tests.support.waiting import wait_until_async

PART_OF_A_REQUEST = b"POST /plug-connector HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\n{"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with LocalCharger("ws://127.0.0.1:9/", http_port=0) as charger, open_http_api(charger.model) as url:
        assert url is not None
        yield url


class Raw:
    """A connection without an HTTP client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def rest(self) -> bytes:
        """What comes until the charger closes the connection."""
        async with asyncio.timeout(10):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


async def connect(stack: AsyncExitStack, url: str, data: bytes = b"") -> Raw:
    parts = httpx.URL(url)
    reader, writer = await asyncio.open_connection(parts.host, parts.port)
    stack.callback(writer.close)
    writer.write(data)
    return Raw(reader, writer)


async def health(url: str) -> int:
    async with httpx.AsyncClient(base_url=url) as client:
        return (await client.get("/health")).status_code


async def test_an_answer_waits_for_no_acknowledgement(url: str) -> None:
    """Its head and its body are two packets: without TCP_NODELAY the second one is held back for 40 ms."""
    took_s = []
    async with httpx.AsyncClient(base_url=url) as client:
        for _ in range(10):
            began_s = time.monotonic()
            await client.get("/health")
            took_s.append(time.monotonic() - began_s)

    assert min(took_s[1:]) < 0.03


@pytest.mark.parametrize("data", [b"", b"GET /hea", PART_OF_A_REQUEST])
async def test_a_client_that_hangs_loses_its_connection(
    url: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLIENT_S", 0.1)
    async with AsyncExitStack() as stack:
        client = await connect(stack, url, data)

        assert await client.rest() == b""

    assert await health(url) == 200


async def test_a_client_that_takes_no_answer_loses_its_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLIENT_S", 0.2)
    monkeypatch.setattr(connection, "ANSWER_S", 0.2)
    many = 5000  # more than the buffers on the way hold
    async with AsyncExitStack() as stack:
        client = await connect(stack, url, b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n" * many)
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]

        def is_reset() -> bool:
            client.writer.write(b" ")
            return client.writer.transport.is_closing()

        await wait_until_async(is_reset)


async def test_connections_are_bounded_and_come_free_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 2)
    monkeypatch.setattr(connection, "CLIENT_S", 0.5)
    async with AsyncExitStack() as stack:
        hanging = [await connect(stack, url, PART_OF_A_REQUEST) for _ in range(2)]

        one_more = await connect(stack, url)

        assert (await one_more.rest()).startswith(b"HTTP/1.1 503 ")
        for client in hanging:
            await client.rest()
    assert await health(url) == 200


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * MAX_HEAD_BYTES, 400),
        (b"nonsense\r\n\r\n", 400),
        (b"GET /health HTTP/1.0\r\n\r\n", 403),  # it names no host
    ],
)
async def test_what_is_no_request_gets_an_answer_and_no_more(url: str, data: bytes, status: int) -> None:
    async with AsyncExitStack() as stack:
        client = await connect(stack, url, data)

        assert (await client.rest()).startswith(f"HTTP/1.1 {status} ".encode())


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_long_is_refused(url: str, chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (MAX_BODY_BYTES // 2)

    async with httpx.AsyncClient(base_url=url) as client:
        content = chunks() if chunked else b" " * (MAX_BODY_BYTES + 1)
        answer = await client.post("/plug-connector", content=content)

    assert answer.status_code == 413
    assert "detail" in answer.json()
