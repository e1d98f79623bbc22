"""The API under gunicorn and gevent: what only the real server can show."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import gevent
import httpx
import pytest
import redis
from flask.testing import FlaskClient
from sqlalchemy import Connection, Engine, text, update

from embedded.process import last_lines
from shared.database.engine import make_engine, transactional
from shared.models import Charger
from tests.support.api_server import COMMAND, running_api
from tests.support.environment import Token, environment
from tests.support.fleet import NEW_CHARGER
from tests.support.waiting import wait_until


@pytest.fixture(scope="module")
def database(new_database: Callable[[], str]) -> Iterator[Engine]:
    """Of these servers alone, so that its tables can be locked."""
    engine = make_engine(new_database())
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def database_url(database: Engine) -> str:
    return database.url.render_as_string(hide_password=False)


@pytest.fixture(scope="module")
def broker_url(redis_url: str) -> str:
    return f"{redis_url.rpartition('/')[0]}/8"


@pytest.fixture(scope="module")
def server_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api") / "api.log"


@pytest.fixture(scope="module")
def server(database_url: str, broker_url: str, server_log: Path) -> Iterator[str]:
    """One process, so that whatever blocks it blocks everything."""
    with running_api(database_url, broker_url, server_log.parent, WEB_CONCURRENCY="1") as url:
        yield url


@pytest.fixture
def headers(token: Token) -> dict[str, str]:
    return {"Authorization": f"Bearer {token()}"}


@contextmanager
def locked_chargers(database: Engine) -> Iterator[None]:
    """Nobody can read or write a charger."""
    with transactional(database).begin() as connection:
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
        connection.execute(text("LOCK TABLE chargers IN ACCESS EXCLUSIVE MODE"))
        yield


def waiting_for_a_lock(connection: Connection) -> int:
    query = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    count: int = connection.execute(query).scalar_one()
    return count


def test_a_slow_query_of_one_request_does_not_block_another(
    server: str, database: Engine, headers: dict[str, str]
) -> None:
    """psycopg waits with gevent, in a single process."""
    with ThreadPoolExecutor(5) as pool, database.connect() as watching:
        slow: list[Future[httpx.Response]] = []
        with locked_chargers(database):
            slow += [pool.submit(httpx.get, f"{server}/ocpp/chargers", headers=headers) for _ in range(5)]
            wait_until(lambda: waiting_for_a_lock(watching) == 5)

            quick = httpx.get(f"{server}/ocpp/catalog/brands", headers=headers, timeout=2)

            assert quick.status_code == 200
            assert not any(future.done() for future in slow)

        assert [future.result().status_code for future in slow] == [200] * 5


def test_a_query_that_waits_too_long_is_a_503_with_retry_after(
    server: str, database: Engine, headers: dict[str, str]
) -> None:
    with locked_chargers(database):
        answer = httpx.get(f"{server}/ocpp/chargers", headers=headers, timeout=15)

    assert answer.status_code == 503
    assert answer.json() == {"detail": "Another request holds what this one needs, and has for too long"}
    assert "Retry-After" in answer.headers


def _raw(server: str) -> socket.socket:
    parts = urlsplit(server)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def _exchange(server: str, request: bytes) -> tuple[int, bytes]:
    """Send the bytes; the status and body of the answer, which is the connection's last."""
    with closing(_raw(server)) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
            head, blank, body = answer.partition(b"\r\n\r\n")
            if blank and b"content-length: %d\r\n" % len(body) in head.lower() + b"\r\n":
                break
    return int(answer.split(b" ", 2)[1]), answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(
    "start",
    [
        b"GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        b"POST /ocpp/chargers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{",
    ],
    ids=["headers", "bodies"],
)
def test_slow_clients_delay_no_other(server: str, headers: dict[str, str], start: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(40):
            slow = stack.enter_context(closing(_raw(server)))
            slow.sendall(start)

        started = time.monotonic()
        answer = httpx.get(f"{server}/ocpp/catalog/brands", headers=headers, timeout=5)

        assert answer.status_code == 200
        assert time.monotonic() - started < 2


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /" + b"a" * 64 * 1024 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Organization-Id: a\rb\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", 400),
    ],
    ids=[
        "request line above 64 KiB",
        "9 KB header",
        "101 headers",
        "negative length",
        "two lengths",
        "length and chunks",
        "carriage return in a header",
        "TLS",
    ],
)
def test_what_the_server_refuses_by_itself_is_json_too(server: str, request_: bytes, status: int) -> None:
    answered, body = _exchange(server, request_)

    assert answered == status
    assert body.startswith(b'{"detail":"')


def test_a_request_that_the_server_refuses_is_logged_with_the_clients_address(
    server: str, server_log: Path
) -> None:
    _exchange(server, b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n")

    refused = [line for line in server_log.read_text().splitlines() if "request.refused" in line]
    assert "127.0.0.1" in refused[-1]


def test_a_chunked_body_counts_as_it_comes(server: str, headers: dict[str, str]) -> None:
    answer = httpx.post(
        f"{server}/ocpp/chargers",
        headers=headers | {"Content-Type": "application/json"},
        content=iter([b'{"identity"', b': ""}']),
    )

    assert answer.status_code == 422
    assert {"loc": ["body", "brand_slug"], "msg": "Field required", "type": "missing"} in answer.json()[
        "detail"
    ]


def test_a_chunked_body_above_64_kib_is_refused(server: str, headers: dict[str, str]) -> None:
    head = (
        "POST /ocpp/chargers HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Transfer-Encoding: chunked\r\nAuthorization: {headers['Authorization']}\r\n\r\n"
    )
    chunk = b"2000\r\n" + b"x" * 0x2000 + b"\r\n"

    status, body = _exchange(server, head.encode() + chunk * 10 + b"0\r\n\r\n")

    assert status == 413
    assert body.startswith(b'{"detail":')


@pytest.mark.parametrize(
    "body",
    [
        b"0x2\r\n{}\r\n0\r\n\r\n",
        b"-2\r\n{}\r\n0\r\n\r\n",
        b"\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}}}\r\n0\r\n\r\n",
        b"2;a\rb\r\n{}\r\n0\r\n\r\n",
        b"2\r\n{}\r\n0\r\nContent-Length: 5\r\n\r\n",
        b"2\r\n{}\r\n0\r\nX\r\n\r\n",
        b"1" * 9000,
    ],
    ids=[
        "hexadecimal prefix",
        "negative",
        "none",
        "too long",
        "bad extension",
        "length below",
        "bad trailer",
        "endless",
    ],
)
def test_a_malformed_chunk_is_a_bad_request_and_the_end_of_the_connection(
    server: str, server_log: Path, headers: dict[str, str], body: bytes
) -> None:
    head = (
        "POST /ocpp/chargers/dep-1/stop-charger HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Transfer-Encoding: chunked\r\nAuthorization: {headers['Authorization']}\r\n\r\n"
    )
    with closing(_raw(server)) as connection:
        connection.sendall(head.encode() + body)
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"detail":"The body is malformed' in answer
    assert "Traceback" not in server_log.read_text()


@pytest.mark.parametrize(
    "rest",
    [b"Content-Length: 50\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n"],
    ids=["by its length", "in chunks"],
)
def test_a_client_that_disconnects_in_the_middle_of_its_body_changes_nothing(
    server: str, server_log: Path, headers: dict[str, str], rest: bytes
) -> None:
    """What came of it is an object by itself."""
    head = (
        "POST /ocpp/chargers/dep-1/stop-charger HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Authorization: {headers['Authorization']}\r\n"
    )
    with closing(_raw(server)) as connection:
        connection.sendall(head.encode() + rest)
        connection.shutdown(socket.SHUT_WR)
        answer = connection.recv(65_536)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert "Traceback" not in server_log.read_text()


def test_a_body_that_does_not_arrive_is_waited_for_in_vain_only_so_long(
    client: FlaskClient, token: Token, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stalled(BytesIO):
        def readinto(self, _buffer: object) -> int:
            gevent.sleep(30)
            return 0

    monkeypatch.setattr("api.http.parsing.BODY_TIMEOUT_S", 0.05)

    answer = client.post(
        "/ocpp/chargers",
        environ_overrides={"wsgi.input": Stalled(), "CONTENT_LENGTH": "50"},
        content_type="application/json",
        headers={"Authorization": f"Bearer {token()}"},
    )

    assert answer.status_code == 408
    assert answer.get_json() == {"detail": "The body did not arrive in time"}


def test_what_was_accepted_reaches_the_queue(
    server: str, database: Engine, broker_url: str, headers: dict[str, str]
) -> None:
    """The publisher lives in the worker process, after the fork."""
    fields = NEW_CHARGER | {"identity": "CP-QUEUE"}
    charger_id = httpx.post(f"{server}/ocpp/chargers", headers=headers, json=fields).json()["charger_id"]
    with database.begin() as connection:
        connection.execute(
            update(Charger)
            .where(Charger.id == charger_id)
            .values(provisioning_status="READY", settled_generation=1, observed_generation=1)
        )

    answer = httpx.post(f"{server}/ocpp/chargers/{charger_id}/stop-charger", headers=headers)

    assert answer.status_code == 202
    with closing(redis.Redis.from_url(broker_url)) as broker:
        wait_until(lambda: broker.llen("provisioning") >= 1)
        wait_until(lambda: broker.llen("lifecycle") == 1)


def test_all_processes_count_into_the_same_metrics(
    database_url: str, broker_url: str, tmp_path: Path
) -> None:
    with running_api(database_url, broker_url, tmp_path, WEB_CONCURRENCY="2") as url:
        before = _health_checks(url)

        for _ in range(20):
            httpx.get(f"{url}/health")

        assert _health_checks(url) == before + 20
        assert list(tmp_path.glob("chargehand-metrics-*"))
    assert not list(tmp_path.glob("chargehand-metrics-*"))


def _health_checks(url: str) -> int:
    lines = httpx.get(f"{url}/metrics").text.splitlines()
    line = 'chargehand_http_requests_total{method="GET",route="/health",status="200"}'
    return int(float(next(found.rpartition(" ")[2] for found in lines if found.startswith(line))))


def test_a_request_that_is_under_way_is_finished_before_the_server_ends(
    database: Engine, database_url: str, broker_url: str, tmp_path: Path, headers: dict[str, str]
) -> None:
    with ThreadPoolExecutor(1) as pool, database.connect() as watching:
        with running_api(database_url, broker_url, tmp_path, WEB_CONCURRENCY="1") as url:
            locked, release = threading.Event(), threading.Event()
            holder = threading.Thread(target=_hold_lock, args=(database, locked, release))
            holder.start()
            locked.wait(5)
            request = pool.submit(httpx.get, f"{url}/ocpp/chargers", headers=headers, timeout=30)
            wait_until(lambda: waiting_for_a_lock(watching) == 1)
            threading.Timer(1.5, release.set).start()
            # Leaving the block stops the server and waits for its end.
        holder.join()

        assert request.result().status_code == 200
        assert "Handling signal: term" in last_lines(tmp_path / "api.log", 50)


def _hold_lock(database: Engine, locked: threading.Event, release: threading.Event) -> None:
    with locked_chargers(database):
        locked.set()
        release.wait(10)


def test_a_server_that_lacks_a_setting_says_which_in_one_line(database_url: str) -> None:
    done = subprocess.run(
        COMMAND,
        env=os.environ | environment(database_url, ""),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode != 0
    assert done.stderr.splitlines() == ["chargehand: REDIS_URL or BROKER_URL is not set"]
