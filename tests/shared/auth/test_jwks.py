"""Tokens whose keys are fetched from a JWKS URL."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.auth.errors import KeysUnavailable, TokenRefused
from shared.auth.tokens import TokenVerifier
from tests.shared.auth.signing import (
    AUDIENCE,
    BY_JWKS,
    EC_KEY,
    RSA_KEY,
    sign,
    verifier,
)


@dataclass
class KeyServer:
    """A JWKS URL whose answer a test decides."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    location: str = ""
    raw: bytes = b""  #: sent in place of an HTTP answer
    pause_s: float = 0  #: before each byte of it
    held: bool = False  #: until `go_on`
    go_on: threading.Event = field(default_factory=threading.Event)
    requested: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    fetches: list[str] = field(default_factory=list)

    def publish(self, **keys: Any) -> None:
        entries = [
            json.loads(jwt.get_algorithm_by_name("RS256").to_jwk(key.public_key())) | {"kid": kid}
            for kid, key in keys.items()
        ]
        self.body = json.dumps({"keys": entries}).encode()


@pytest.fixture
def key_server() -> Iterator[KeyServer]:
    state = KeyServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.fetches.append(self.path)
            state.requested.release()
            if state.held:
                state.go_on.wait()
            if state.raw:
                self.drip()
                return
            self.send_response(state.status)
            if state.location:
                self.send_header("Location", state.location)
            self.send_header("Content-Length", str(len(state.body)))
            self.end_headers()
            self.wfile.write(state.body)

        def drip(self) -> None:
            with suppress(ConnectionError):
                for byte in state.raw:
                    state.go_on.wait(state.pause_s)
                    self.wfile.write(bytes([byte]))

        def log_message(self, *_: object) -> None:
            """Nothing: standard error is the tests'."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{server.server_port}/keys"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    state.go_on.set()
    server.shutdown()
    thread.join()
    server.server_close()


OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def by_jwks(server: KeyServer) -> TokenVerifier:
    return verifier(replace(BY_JWKS, jwks_url=server.url))


def rs256(key: Any = RSA_KEY, kid: str | None = "one", **claims: Any) -> str:
    return sign({"aud": AUDIENCE} | claims, key, "RS256", {"kid": kid} if kid else None)


def test_a_token_that_the_provider_made_for_another_service_is_refused(key_server: KeyServer) -> None:
    """It may well say role admin: there, that is another thing."""
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)

    for audience in ("other", ["other"], None):
        with pytest.raises(TokenRefused):
            checking.verify(rs256(aud=audience, role="admin"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_keys_may_come_from_a_proxy_on_this_host_and_embedded_from_anywhere(host: str) -> None:
    verifier(replace(BY_JWKS, jwks_url=f"http://{host}:8080/keys"))
    TokenVerifier(replace(BY_JWKS, jwks_url="http://idp.test/keys", audience=""), embedded=True)


def test_keys_are_fetched_on_first_use_and_kept(key_server: KeyServer) -> None:
    key_server.publish(one=RSA_KEY, two=OTHER_KEY)
    checking = by_jwks(key_server)
    assert key_server.fetches == []

    assert checking.verify(rs256()).subject == "ada"
    assert checking.verify(rs256(OTHER_KEY, "two")).subject == "ada"

    assert len(key_server.fetches) == 1
    with pytest.raises(TokenRefused):
        checking.verify(rs256(OTHER_KEY, "one"))


def test_keys_are_fetched_for_an_unknown_kid_once_a_minute(key_server: KeyServer) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())

    for number in range(20):
        with pytest.raises(TokenRefused):
            checking.verify(rs256(OTHER_KEY, f"kid-{number}"))

    assert len(key_server.fetches) == 1


def test_a_new_key_is_found_after_the_pause(key_server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())
    key_server.publish(one=RSA_KEY, two=OTHER_KEY)
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert checking.verify(rs256(OTHER_KEY, "two")).subject == "ada"


@pytest.mark.parametrize(
    "answer",
    [{"status": 500}, {"body": b'{"error": "down"}'}, {"body": b"7"}, {"raw": b"nonsense\r\n\r\n"}],
    ids=["500", "no keys", "number", "no HTTP"],
)
def test_a_failed_fetch_keeps_the_keys(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any]
) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())
    for name, value in answer.items():
        setattr(key_server, name, value)
    later = time.monotonic() + 7200
    monkeypatch.setattr(time, "monotonic", lambda: later)

    assert checking.verify(rs256(sub="grace")).subject == "grace"
    assert checking.verify(rs256(sub="alan")).subject == "alan"
    assert len(key_server.fetches) == 2


def test_while_the_keys_are_fetched_again_the_known_ones_serve(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())
    key_server.requested.acquire()
    key_server.held = True
    later = time.monotonic() + 7200
    monkeypatch.setattr(time, "monotonic", lambda: later)
    fetching = threading.Thread(target=checking.verify, args=(rs256(sub="grace"),))
    fetching.start()
    assert key_server.requested.acquire(timeout=5)

    assert checking.verify(rs256(sub="alan")).subject == "alan"

    assert fetching.is_alive()
    key_server.go_on.set()
    fetching.join()


def test_a_token_of_a_new_key_waits_for_the_fetch_that_brings_it(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())
    key_server.requested.acquire()
    key_server.publish(one=RSA_KEY, two=OTHER_KEY)
    key_server.held = True
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(checking.verify, rs256(OTHER_KEY, "two", sub="grace"))
        assert key_server.requested.acquire(timeout=5)
        second = callers.submit(checking.verify, rs256(OTHER_KEY, "two", sub="alan"))
        key_server.go_on.set()

        assert (first.result().subject, second.result().subject) == ("grace", "alan")
    assert len(key_server.fetches) == 2


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\n\r\n"], ids=["headers", "body"]
)
def test_a_server_that_drips_holds_no_caller_beyond_the_time_out(
    key_server: KeyServer, monkeypatch: pytest.MonkeyPatch, head: bytes
) -> None:
    monkeypatch.setattr("shared.auth.jwks.Jwks.TIMEOUT_S", 0.3)
    key_server.raw, key_server.pause_s = head + b"x" * 200, 0.02
    checking = by_jwks(key_server)
    started = time.monotonic()

    for _ in range(2):
        with pytest.raises(KeysUnavailable):
            checking.verify(rs256())

    assert time.monotonic() - started < 2
    assert len(key_server.fetches) == 1


@pytest.mark.parametrize(
    "unreadable",
    [
        7,
        {"kty": "EC", "crv": "P-256"},
        {"kty": "EC", "crv": "P-256", "x": "AAAA", "y": "AAAA"},
        {"kty": "EC", "crv": "P-1024", "x": "AAAA", "y": "AAAA"},
    ],
    ids=["number", "no point", "not on the curve", "unknown curve"],
)
def test_a_key_that_cannot_be_read_costs_no_other(key_server: KeyServer, unreadable: Any) -> None:
    good = json.loads(jwt.get_algorithm_by_name("ES256").to_jwk(EC_KEY.public_key())) | {"kid": "one"}
    key_server.body = json.dumps({"keys": [unreadable, good, unreadable]}).encode()
    checking = verifier(replace(BY_JWKS, algorithm="ES256", jwks_url=key_server.url))

    assert (
        checking.verify(
            sign({"aud": AUDIENCE}, key=EC_KEY, algorithm="ES256", headers={"kid": "one"})
        ).subject
        == "ada"
    )


def test_a_withdrawn_key_is_noticed(key_server: KeyServer, monkeypatch: pytest.MonkeyPatch) -> None:
    key_server.publish(one=RSA_KEY)
    checking = by_jwks(key_server)
    checking.verify(rs256())
    key_server.publish(two=OTHER_KEY)
    later = time.monotonic() + 7200
    monkeypatch.setattr(time, "monotonic", lambda: later)

    with pytest.raises(TokenRefused):
        checking.verify(rs256(sub="grace"))


def test_a_token_without_a_kid_means_the_only_key(key_server: KeyServer) -> None:
    key_server.publish(one=RSA_KEY)
    assert by_jwks(key_server).verify(rs256(kid=None)).subject == "ada"

    key_server.publish(one=RSA_KEY, two=OTHER_KEY)
    with pytest.raises(TokenRefused):
        by_jwks(key_server).verify(rs256(kid=None))


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 404},
        {"body": b"<html>"},
        {"body": b"[]"},
        {"body": b'{"keys": []}'},
        {"body": b'{"error": "down"}'},
        {"body": b'{"keys": [7]}'},
        {"body": b'{"keys": [{"kty": "oct", "k": "AAAA", "kid": "one"}]}'},
        {"body": b" " * 300_000},
        {"status": 302, "location": "http://127.0.0.1:1/keys"},
        {"raw": b"nonsense\r\n\r\n"},
    ],
    ids=["404", "HTML", "array", "no keys", "error", "number", "symmetric", "300 KB", "redirect", "no HTTP"],
)
def test_without_keys_no_token_can_be_verified(key_server: KeyServer, answer: dict[str, Any]) -> None:
    for name, value in answer.items():
        setattr(key_server, name, value)
    checking = by_jwks(key_server)

    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            checking.verify(rs256())
    assert len(key_server.fetches) == 1


def test_an_unavailable_identity_provider_is_not_a_refused_token() -> None:
    away = replace(BY_JWKS, jwks_url="http://127.0.0.1:1/keys")

    with pytest.raises(KeysUnavailable):
        verifier(away).verify(rs256())
