"""What a client may hold of a server, and for how long: none keeps others, or a probe, from their answers."""

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from sqlalchemy import text, update

from shared.database.engine import make_engine
from shared.models import Charger
from tests.support.api_server import SHORT_TIMEOUTS, running_api, stop_server
from tests.support.environment import Token
from tests.support.fleet import NEW_CHARGER
from tests.support.waiting import wait_until

FEW = 40  # connections of the crowded server; it begins to close some at 36
FILE = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture(scope="module")
def database_url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("holding")


@pytest.fixture(scope="module")
def server(database_url: str, redis_url: str, folder: Path) -> Iterator[str]:
    """It waits for a head and for a reader for one second each, for the next request two."""
    with running_api(
        database_url,
        redis_url,
        folder,
        command=SHORT_TIMEOUTS,
        WEB_CONCURRENCY="1",
        KEEP_ALIVE_SECONDS="2",
        TEST_CONNECTIONS=str(FEW),
    ) as url:
        yield url


def connect(server: str, *, receive_buffer: int | None = None) -> socket.socket:
    parts = urlsplit(server)
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.settimeout(10)
    connection.connect((parts.hostname, parts.port))
    return connection


def is_ending(server: str) -> bool:
    with closing(connect(server)) as connection:
        connection.sendall(HEALTH)
        return b"Connection: close" in connection.recv(65_536)


def all_that_comes(connection: socket.socket) -> bytes:
    """Until the server closes it."""
    heard = b""
    while piece := connection.recv(65_536):
        heard += piece
    return heard


def ended(connection: socket.socket) -> bool:
    """The server closed it, which is seen when all that it sent is read."""
    try:
        while connection.recv(65_536):
            pass
    except ConnectionResetError:
        pass
    return True


def test_a_client_that_reads_nothing_of_a_large_answer_is_disconnected(server: str, folder: Path) -> None:
    with closing(connect(server, receive_buffer=4096)) as reader:
        reader.sendall(FILE * 10)
        log = folder / "api.log"
        wait_until(lambda: "client.let_go" in log.read_text(), within_s=10)

        assert ended(reader)
    assert "Traceback" not in log.read_text()


def test_a_client_that_reads_nothing_of_an_event_stream_is_disconnected(
    server: str, folder: Path, database_url: str, token: Token
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    body = NEW_CHARGER | {"identity": "CP-STREAM"}
    charger_id = httpx.post(f"{server}/ocpp/chargers", headers=headers, json=body).json()["charger_id"]
    engine = make_engine(database_url)
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO charger_events (charger_id, type, data) SELECT :charger_id, 'ocpp',"
                " jsonb_build_object('state', 'accepted', 'reason', repeat('x', 100000), 'since', NULL)"
                " FROM generate_series(1, 100)"
            ),
            {"charger_id": charger_id},
        )
    engine.dispose()
    path = f"/ocpp/chargers/{charger_id}/events"
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {headers['Authorization']}\r\nLast-Event-ID: 0\r\n\r\n"

    with closing(connect(server, receive_buffer=4096)) as reader:
        reader.sendall(request.encode())

        wait_until(lambda: path in (folder / "api.log").read_text(), within_s=10)


def test_a_client_that_reads_slowly_but_reads_gets_the_whole_file(server: str) -> None:
    """It takes longer for all of it than a write may take."""
    whole = httpx.get(f"{server}/docs/swagger-ui-bundle.js").content
    with closing(connect(server, receive_buffer=4096)) as reader:
        reader.sendall(FILE.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        got, started = b"", time.monotonic()
        while part := reader.recv(4096):
            got += part
            if time.monotonic() - started < 1.5:
                time.sleep(0.01)

    assert got.endswith(whole)
    assert time.monotonic() - started > 1.2


def test_a_slow_head_is_given_up_sooner_than_a_connection_that_rests(server: str) -> None:
    with closing(connect(server)) as slow, closing(connect(server)) as resting:
        slow.sendall(HEALTH[:10])
        resting.sendall(HEALTH)
        started = time.monotonic()
        assert ended(slow)
        slow_s = time.monotonic() - started
        assert ended(resting)
        resting_s = time.monotonic() - started

    assert 0.8 < slow_s < 1.8
    assert 1.8 < resting_s < 4


def test_a_head_that_comes_byte_by_byte_has_its_own_time_after_a_rest_too(server: str) -> None:
    with closing(connect(server)) as slow:
        slow.sendall(HEALTH)
        time.sleep(0.5)
        started = time.monotonic()
        with pytest.raises(OSError):  # a broken pipe or a reset
            while time.monotonic() - started < 5:
                slow.sendall(b"G")
                time.sleep(0.1)

    assert time.monotonic() - started < 2.5


@pytest.mark.parametrize("start", [b"", HEALTH[:10], HEALTH], ids=["silent", "slow heads", "resting"])
def test_any_number_of_connections_that_wait_for_their_client_leaves_probes_alone(
    server: str, start: bytes
) -> None:
    with ExitStack() as stack:
        for _ in range(3 * FEW):
            connection = stack.enter_context(closing(connect(server)))
            connection.sendall(start)

        started = time.monotonic()
        answers = [httpx.get(f"{server}{path}", timeout=5).status_code for path in ("/health", "/ready")]

    assert answers == [200, 200]
    assert time.monotonic() - started < 3


def test_clients_that_read_nothing_leave_probes_alone(server: str) -> None:
    with ExitStack() as stack:
        for _ in range(2 * FEW):
            connection = stack.enter_context(closing(connect(server, receive_buffer=4096)))
            connection.sendall(FILE)

        answers = [httpx.get(f"{server}{path}", timeout=5).status_code for path in ("/health", "/ready")]

    assert answers == [200, 200]


def test_waits_above_the_limit_are_answered_at_once_and_so_are_probes(
    database_url: str, redis_url: str, tmp_path: Path, token: Token
) -> None:
    headers = {"Authorization": f"Bearer {token()}"}
    with running_api(
        database_url,
        redis_url,
        tmp_path,
        command=SHORT_TIMEOUTS,
        WEB_CONCURRENCY="1",
        TEST_CONNECTIONS=str(FEW),
        WAITS="20",
        WAITS_PER_ORGANIZATION="10",
    ) as url:
        created = httpx.post(f"{url}/ocpp/chargers", headers=headers, json=NEW_CHARGER).json()
        request = (
            f"GET {created['status_url']}?wait=60 HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: {headers['Authorization']}\r\n\r\n"
        ).encode()
        with ExitStack() as stack:
            waiting = []
            for _ in range(10):
                waiting.append(stack.enter_context(closing(connect(url))))
                waiting[-1].sendall(request)
            metric = "chargehand_waiting_clients 10.0"
            wait_until(lambda: metric in httpx.get(f"{url}/metrics").text)

            started = time.monotonic()
            with httpx.Client(base_url=url, headers=headers) as client:
                beyond = [client.get(f"{created['status_url']}?wait=60") for _ in range(3 * FEW)]
            health = httpx.get(f"{url}/health")

            assert time.monotonic() - started < 20
            assert {answer.headers.get("Wait-Skipped") for answer in beyond} == {"true"}
            assert {answer.json()["status"] for answer in beyond} == {"PENDING"}
            assert health.status_code == 200
            engine = make_engine(database_url)
            with engine.begin() as connection:
                connection.execute(update(Charger).values(provisioning_status="READY"))
            engine.dispose()
            assert all(hears(one, b'"READY"') for one in waiting)


def test_a_connection_that_rests_does_not_keep_the_server_from_its_end(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        with running_api(database_url, redis_url, tmp_path, WEB_CONCURRENCY="1") as url:
            resting = stack.enter_context(closing(connect(url)))
            resting.sendall(HEALTH)
            assert hears(resting, b'"ok"')
            silent = stack.enter_context(closing(connect(url)))
            started = time.monotonic()
        ended_after_s = time.monotonic() - started

        assert ended(resting)
        assert ended(silent)
    assert ended_after_s < 8


def test_a_request_that_is_on_its_way_when_the_server_stops_is_answered(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    with (
        running_api(database_url, redis_url, tmp_path, WEB_CONCURRENCY="1") as url,
        closing(connect(url)) as used,
        closing(connect(url)) as new,
    ):
        used.sendall(HEALTH)
        assert hears(used, b'"ok"')
        stop_server(url)
        wait_until(lambda: is_ending(url), within_s=10)

        for connection in (used, new):
            connection.sendall(HEALTH)

        for connection in (used, new):
            answer = all_that_comes(connection)
            assert b"200 OK" in answer
            assert b"Connection: close" in answer


def hears(connection: socket.socket, word: bytes) -> bool:
    """Whether the word comes, in as many pieces as it likes."""
    heard = b""
    while word not in heard:
        piece = connection.recv(65_536)
        if not piece:
            return False
        heard += piece
    return True
