"""Which tokens are good, and which configurations are too weak to tell."""

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
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared.auth.errors import KeysUnavailable, TokenRefused
from shared.auth.tokens import Claims, RecentTokens, TokenVerifier, make_token
from shared.settings import SettingsError, TokenSettings

SECRET = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822c"
HS256 = TokenSettings("HS256", SECRET, "", "", "", "", 86_400)

RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: Any) -> str:
    text: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return text.decode()


RS256 = replace(HS256, algorithm="RS256", secret="", public_key=pem(RSA_KEY))
ES256 = replace(HS256, algorithm="ES256", secret="", public_key=pem(EC_KEY))
AUDIENCE = "chargehand"
BY_JWKS = replace(RS256, public_key="", jwks_url="https://idp.test/keys", audience=AUDIENCE)


def sign(
    claims: dict[str, Any] | None = None,
    key: Any = SECRET,
    algorithm: str = "HS256",
    headers: dict[str, Any] | None = None,
    without: str = "",
) -> str:
    now = int(time.time())
    good = {"sub": "ada", "role": "user", "organization_id": "acme", "iat": now, "exp": now + 600}
    good.pop(without, None)
    return jwt.encode(good | (claims or {}), key, algorithm=algorithm, headers=headers)


def verifier(settings: TokenSettings = HS256) -> TokenVerifier:
    return TokenVerifier(settings, embedded=False)


@pytest.mark.parametrize(
    ("role", "organization_id"), [("user", "acme"), ("admin", None), ("user", "org_1.a:b=c+d@e/f-g")]
)
def test_a_token_that_we_made_says_what_it_was_made_with(role: str, organization_id: str | None) -> None:
    token = make_token(HS256, subject="Ada L.", organization_id=organization_id, role=role, ttl_s=60)

    assert verifier().verify(token) == Claims("Ada L.", role, organization_id)


def test_issuer_and_audience_are_in_what_we_make_and_checked_where_configured() -> None:
    settings = replace(HS256, issuer="https://issuer.test", audience="chargehand")
    token = make_token(settings, subject="ada", organization_id="acme", role="user", ttl_s=60)

    assert verifier(settings).verify(token).subject == "ada"
    for other in (replace(settings, issuer="https://other.test"), replace(settings, audience="other")):
        with pytest.raises(TokenRefused):
            verifier(other).verify(token)
    with pytest.raises(TokenRefused):
        verifier(settings).verify(sign())
    assert verifier().verify(token).subject == "ada"


@pytest.mark.parametrize(
    ("settings", "key"), [(HS256, SECRET), (RS256, RSA_KEY), (ES256, EC_KEY)], ids=["HS256", "RS256", "ES256"]
)
def test_each_algorithm_verifies_its_own_tokens_and_no_others(settings: TokenSettings, key: Any) -> None:
    keys = {"HS256": SECRET, "RS256": RSA_KEY, "ES256": EC_KEY}
    checking = verifier(settings)

    assert checking.verify(sign(key=key, algorithm=settings.algorithm)).organization_id == "acme"
    for algorithm, other in keys.items():
        if algorithm != settings.algorithm:
            with pytest.raises(TokenRefused):
                checking.verify(sign(key=other, algorithm=algorithm))


@pytest.mark.parametrize("settings", [RS256, ES256], ids=["RS256", "ES256"])
def test_a_public_key_is_no_secret_to_sign_with(settings: TokenSettings) -> None:
    """The classic confusion: HMAC with the public key that everybody has."""
    unsigned = sign().rpartition(".")[0]
    hmac = jwt.get_algorithm_by_name("HS256")
    signature = jwt.utils.base64url_encode(hmac.sign(unsigned.encode(), settings.public_key.encode()))

    with pytest.raises(TokenRefused, match="InvalidAlgorithmError"):
        verifier(settings).verify(f"{unsigned}.{signature.decode()}")


@pytest.mark.parametrize("algorithm", ["none", "nOnE", "NONE", "HS512"])
def test_the_algorithm_is_never_the_tokens_choice(algorithm: str) -> None:
    _, claims, signature = sign().split(".")
    header = jwt.utils.base64url_encode(json.dumps({"alg": algorithm, "typ": "JWT"}).encode()).decode()

    for forged in (f"{header}.{claims}.", f"{header}.{claims}.{signature}"):
        with pytest.raises(TokenRefused):
            verifier().verify(forged)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"exp": int(time.time()) - 10}, id="expired"),
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": 1e30},
        {"exp": [1]},
        pytest.param({"nbf": int(time.time()) + 3600}, id="not yet"),
        pytest.param({"iat": int(time.time()) + 3600}, id="made in an hour"),
        {"iat": "long ago"},
        {"sub": 7},
        {"sub": ""},
        {"sub": "a\nb"},
        {"sub": "x" * 256},
        {"sub": "a\ud800"},
        {"sub": "\udfffa"},
        {"role": None},
        {"role": ["admin"]},
        {"organization_id": 7},
        {"organization_id": ""},
        {"organization_id": "a b"},
        {"organization_id": "a\n"},
        {"organization_id": "x" * 129},
        {"organization_id": "a,b"},
    ],
    ids=str,
)
def test_a_claim_that_cannot_be_refuses_the_token(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(sign(claims))


def test_a_subject_beyond_the_basic_plane_is_good() -> None:
    assert verifier().verify(sign({"sub": "ada \U0001f50c"})).subject == "ada \U0001f50c"


@pytest.mark.parametrize("claim", ["exp", "sub", "role"])
def test_a_claim_that_must_be_is_missed(claim: str) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(sign(without=claim))


def test_clocks_may_differ_by_five_seconds() -> None:
    now = int(time.time())

    assert verifier().verify(sign({"exp": now - 3})).subject == "ada"
    assert verifier().verify(sign({"iat": now + 3})).subject == "ada"


def test_a_token_must_not_live_longer_than_configured() -> None:
    now = int(time.time())
    strict, lax = verifier(replace(HS256, max_age_s=3600)), verifier(replace(HS256, max_age_s=0))

    assert strict.verify(sign({"exp": now + 3600})).subject == "ada"
    for too_long in (sign({"exp": now + 3700}), sign({"exp": now + 3700}, without="iat")):
        with pytest.raises(TokenRefused, match="longer than 3600 s"):
            strict.verify(too_long)
        assert lax.verify(too_long).subject == "ada"


@pytest.mark.parametrize(
    "token",
    ["", "x", "a.b.c", "..", "é.é.é", "a" * 10_000, sign(headers={"crit": ["x"], "x": 1})],
    ids=["empty", "word", "parts", "dots", "not ASCII", "long", "unknown crit"],
)
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(token)


def test_a_header_nested_100000_deep_is_refused() -> None:
    header = jwt.utils.base64url_encode(b"[" * 100_000).decode()

    with pytest.raises(TokenRefused):
        verifier().verify(f"{header}.e30.x")


def test_keys_that_a_token_points_at_are_not_looked_at() -> None:
    headers = {"kid": "../../dev/null", "jku": "http://evil.test/keys", "x5u": "http://evil.test/cert"}

    assert verifier().verify(sign(headers=headers)).subject == "ada"


@pytest.mark.parametrize(("expires_in_s", "good_for_s"), [(30, 30), (600, 60)])
def test_a_verified_token_is_remembered_for_a_minute_but_not_beyond_its_end(
    monkeypatch: pytest.MonkeyPatch, expires_in_s: int, good_for_s: int
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    recent, claims = RecentTokens(keep_s=60), Claims("ada", "user", "acme")
    recent.put("token", claims, now + expires_in_s)

    monkeypatch.setattr(time, "time", lambda: now + good_for_s - 1)
    assert recent.get("token") == claims
    monkeypatch.setattr(time, "time", lambda: now + good_for_s)
    assert recent.get("token") is None


def test_remembered_tokens_are_bounded_in_number() -> None:
    recent = RecentTokens(capacity=10)
    tokens = [f"token-{number}" for number in range(45)]

    for token in tokens:
        recent.put(token, Claims(token, "user", "acme"), time.time() + 60)

    assert sum(recent.get(token) is not None for token in tokens) <= 10
    assert recent.get(tokens[-1]) == Claims(tokens[-1], "user", "acme")


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "short",
        "x" * 31,
        "x" * 64,
        "abcdefghijkl" * 4,
        "changeme-changeme-changeme-0123456789",
        "your-256-bit-secret-0123456789abcdef",
        "my-super-secret-jwt-signing-key-2024",
    ],
)
def test_a_weak_secret_is_not_started_with(secret: str) -> None:
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        verifier(replace(HS256, secret=secret))


def test_a_laptop_may_have_a_weak_secret_but_not_none() -> None:
    weak = replace(HS256, secret="x" * 32)

    assert TokenVerifier(weak, embedded=True).verify(sign(key=weak.secret)).subject == "ada"
    with pytest.raises(SettingsError, match="JWT_SECRET"):
        TokenVerifier(replace(HS256, secret=""), embedded=True)


@pytest.mark.parametrize(
    "settings",
    [
        replace(HS256, algorithm="none"),
        replace(HS256, algorithm="HS512"),
        replace(RS256, public_key=""),
        replace(RS256, public_key="not PEM"),
        replace(RS256, public_key=pem(EC_KEY)),
        replace(RS256, public_key=pem(rsa.generate_private_key(public_exponent=65537, key_size=1024))),  # noqa: S505  # weak on purpose
        replace(ES256, public_key=pem(RSA_KEY)),
        replace(ES256, public_key=pem(ec.generate_private_key(ec.SECP384R1()))),
        replace(BY_JWKS, jwks_url="file:///etc/keys.json"),
        replace(BY_JWKS, jwks_url="http://idp.test/keys"),
        replace(BY_JWKS, jwks_url="http://127.0.0.1.idp.test/keys"),
        replace(BY_JWKS, audience=""),
    ],
    ids=[
        "none",
        "HS512",
        "no key",
        "no PEM",
        "EC for RS256",
        "1024 bits",
        "RSA for ES256",
        "P-384 for ES256",
        "a file as JWKS",
        "JWKS in the clear",
        "JWKS in the clear from a name like loopback",
        "tokens for any service of the provider",
    ],
)
def test_a_key_that_does_not_fit_is_not_started_with(settings: TokenSettings) -> None:
    with pytest.raises(SettingsError, match="JWT_"):
        verifier(settings)


@pytest.mark.parametrize(
    ("subject", "organization_id", "role"),
    [
        ("", "acme", "user"),
        ("a\nb", "acme", "user"),
        ("a\ud800", "acme", "user"),
        ("ada", "a b", "user"),
        ("ada", "acme", "root"),
    ],
)
def test_no_token_is_made_that_would_be_refused(subject: str, organization_id: str, role: str) -> None:
    with pytest.raises(ValueError, match=r"the (subject|organization|role)"):
        make_token(HS256, subject=subject, organization_id=organization_id, role=role, ttl_s=60)


@pytest.mark.parametrize("settings", [RS256, replace(HS256, secret="")], ids=["RS256", "no secret"])
def test_only_the_holder_of_the_key_makes_tokens(settings: TokenSettings) -> None:
    with pytest.raises(SettingsError, match="JWT_"):
        make_token(settings, subject="ada", organization_id="acme", role="user", ttl_s=60)


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
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
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
            state.asked.release()
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


def test_unknown_keys_are_asked_for_once_a_minute(key_server: KeyServer) -> None:
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
    key_server.asked.acquire()
    key_server.held = True
    later = time.monotonic() + 7200
    monkeypatch.setattr(time, "monotonic", lambda: later)
    fetching = threading.Thread(target=checking.verify, args=(rs256(sub="grace"),))
    fetching.start()
    assert key_server.asked.acquire(timeout=5)

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
    key_server.asked.acquire()
    key_server.publish(one=RSA_KEY, two=OTHER_KEY)
    key_server.held = True
    later = time.monotonic() + 61
    monkeypatch.setattr(time, "monotonic", lambda: later)
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(checking.verify, rs256(OTHER_KEY, "two", sub="grace"))
        assert key_server.asked.acquire(timeout=5)
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
def test_without_keys_nobody_can_tell_whether_a_token_is_good(
    key_server: KeyServer, answer: dict[str, Any]
) -> None:
    for name, value in answer.items():
        setattr(key_server, name, value)
    checking = by_jwks(key_server)

    for _ in range(3):
        with pytest.raises(KeysUnavailable):
            checking.verify(rs256())
    assert len(key_server.fetches) == 1


def test_an_identity_provider_that_is_away_is_no_refusal() -> None:
    away = replace(BY_JWKS, jwks_url="http://127.0.0.1:1/keys")

    with pytest.raises(KeysUnavailable):
        verifier(away).verify(rs256())
