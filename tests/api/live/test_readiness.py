"""/ready reports what a publish or a statement would meet, and does not reveal where the servers are."""

import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from flask.testing import FlaskClient
from sqlalchemy import make_url

from api.live import readiness
from embedded.ports import free_port
from embedded.process import running
from embedded.redis import prepare_redis
from shared.database.connection import SHARED_CONNECTIONS
from shared.settings import Settings
from tests.api.conftest import client_of
from tests.shared.database.test_schema import set_revision
from tests.support.pooler import running_pooler

ADDRESS = re.compile(r"127\.0\.0\.1|localhost|:\d+")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[str]:
    """A Redis of this test's own."""
    server = prepare_redis(tmp_path, free_port())
    with running(server.program, tmp_path / "redis.log"):
        yield server.url


@contextmanager
def ready_with(
    settings: Settings, *, broker_url: str | None = None, database_url: str | None = None
) -> Iterator[FlaskClient]:
    changed = replace(
        settings,
        broker_url=broker_url or settings.broker_url,
        database_url=database_url or settings.database_url,
    )
    yield from client_of(changed)


def broker_state(settings: Settings, broker_url: str) -> str:
    with ready_with(settings, broker_url=broker_url) as client:
        answer = client.get("/ready")
    assert answer.status_code == 200
    state: str = answer.get_json()["broker"]
    return state


def test_a_probe_leaves_nothing_on_the_broker(settings: Settings, broker: str) -> None:
    assert broker_state(settings, broker) == "ok"
    with closing(redis.Redis.from_url(broker)) as client:
        assert client.keys("*check*") == []


def test_a_broker_that_became_a_replica_takes_no_messages(settings: Settings, broker: str) -> None:
    with closing(redis.Redis.from_url(broker)) as client:
        client.replicaof("127.0.0.1", 1)

        assert broker_state(settings, broker) == "The broker takes no writes: it is a replica"

        client.replicaof("NO", "ONE")
        assert broker_state(settings, broker) == "ok"


def test_what_is_not_well_is_one_line_in_the_log_at_its_beginning_and_one_at_its_end(
    settings: Settings, broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "KEEP_S", 0.0)
    with (
        closing(redis.Redis.from_url(broker)) as client,
        ready_with(settings, broker_url=broker) as probe,
        structlog.testing.capture_logs() as lines,
    ):
        client.replicaof("127.0.0.1", 1)
        for _ in range(3):
            probe.get("/ready")
        client.replicaof("NO", "ONE")
        for _ in range(2):
            probe.get("/ready")

    of_the_broker = [line for line in lines if line["part"] == "broker"]
    assert [line["event"] for line in of_the_broker] == ["readiness.lost", "readiness.back"]
    assert "read only replica" in of_the_broker[0]["error"]


def test_a_broker_whose_memory_is_full_takes_no_messages(settings: Settings, broker: str) -> None:
    with closing(redis.Redis.from_url(broker)) as client:
        client.config_set("maxmemory", 1)

        assert broker_state(settings, broker) == "The broker takes no writes: its memory is full"


def test_a_broker_that_does_not_know_our_password_says_so(settings: Settings, broker: str) -> None:
    with closing(redis.Redis.from_url(broker)) as client:
        client.config_set("requirepass", "secret")

        state = broker_state(settings, broker)

    assert state == "The broker refuses our user or password"


def test_a_broker_with_a_certificate_of_its_own_making_is_not_given_the_password(
    settings: Settings, tmp_path: Path
) -> None:
    heard: list[bytes] = []
    with tls_server(tmp_path, heard) as port:
        state = broker_state(settings, f"rediss://:secret@127.0.0.1:{port}/0")

    assert state == "The broker's certificate cannot be trusted"
    assert heard == []


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "amqp://127.0.0.1:1//"])
def test_what_ready_says_names_no_address(settings: Settings, url: str) -> None:
    assert not ADDRESS.search(broker_state(settings, url))


def test_a_schema_that_is_behind_is_not_ready_and_one_that_is_ahead_is(
    settings: Settings, new_database: Callable[[], str]
) -> None:
    url = new_database()
    set_revision(url, "0001")
    with ready_with(settings, database_url=url) as client:
        behind = client.get("/ready")
    set_revision(url, "0099")
    with ready_with(settings, database_url=url) as client:
        ahead = client.get("/ready")

    assert behind.status_code == 503
    assert "run chargehand migrate" in behind.get_json()["detail"]
    assert ahead.status_code == 200


def test_a_pooler_that_shares_connections_between_transactions_is_not_ready(settings: Settings) -> None:
    url = make_url(settings.database_url)
    with running_pooler(url.port, shares=True) as port:
        through = url.set(port=port).render_as_string(hide_password=False)
        with ready_with(settings, database_url=through) as client:
            answer = client.get("/ready")

    assert (answer.status_code, answer.get_json()["detail"]) == (503, SHARED_CONNECTIONS)


def test_a_database_that_does_not_know_our_password_says_so(settings: Settings) -> None:
    url = make_url(settings.database_url).set(password="another").render_as_string(hide_password=False)
    with ready_with(settings, database_url=url) as client:
        answer = client.get("/ready")

    assert answer.status_code == 503
    assert answer.get_json()["detail"].startswith("The database refuses our user or password: check")


@contextmanager
def tls_server(folder: Path, heard: list[bytes]) -> Iterator[int]:
    """A server whose certificate nobody signed. Keeps what clients say to it after the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(folder))

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(connection, server_side=True) as secured:
                    if said := secured.recv(1000):
                        heard.append(said)
            except OSError:
                connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return file
