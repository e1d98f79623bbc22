"""Which tokens are valid, and which configurations are refused as too weak."""

import json
import time
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from shared.auth.errors import TokenRefused
from shared.auth.tokens import Claims, RecentTokens, TokenVerifier, make_token
from shared.settings import SettingsError, TokenSettings
from tests.shared.auth.signing import (
    BY_JWKS,
    EC_KEY,
    ES256,
    HS256,
    RS256,
    RSA_KEY,
    SECRET,
    pem,
    sign,
    verifier,
)


@pytest.mark.parametrize(
    ("role", "organization_id"), [("user", "acme"), ("admin", None), ("user", "org_1.a:b=c+d@e/f-g")]
)
def test_a_made_token_has_the_claims_that_it_was_made_with(role: str, organization_id: str | None) -> None:
    token = make_token(HS256, subject="Ada L.", organization_id=organization_id, role=role, ttl_s=60)

    claims = verifier().verify(token)

    assert claims == Claims("Ada L.", role, organization_id, claims.expires_at)
    assert claims.expires_at == pytest.approx(time.time() + 60, abs=5)


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
def test_a_token_with_an_invalid_claim_is_refused(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(sign(claims))


def test_a_subject_beyond_the_basic_plane_is_good() -> None:
    assert verifier().verify(sign({"sub": "ada \U0001f50c"})).subject == "ada \U0001f50c"


@pytest.mark.parametrize("claim", ["exp", "sub", "role"])
def test_a_token_without_a_required_claim_is_refused(claim: str) -> None:
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
def test_an_invalid_token_is_refused(token: str) -> None:
    with pytest.raises(TokenRefused):
        verifier().verify(token)


def test_a_header_nested_100000_deep_is_refused() -> None:
    header = jwt.utils.base64url_encode(b"[" * 100_000).decode()

    with pytest.raises(TokenRefused):
        verifier().verify(f"{header}.e30.x")


def test_keys_that_a_token_points_at_are_not_fetched() -> None:
    headers = {"kid": "../../dev/null", "jku": "http://evil.test/keys", "x5u": "http://evil.test/cert"}

    assert verifier().verify(sign(headers=headers)).subject == "ada"


@pytest.mark.parametrize(("expires_in_s", "good_for_s"), [(30, 30), (600, 60)])
def test_a_verified_token_is_cached_for_a_minute_but_not_beyond_its_expiry(
    monkeypatch: pytest.MonkeyPatch, expires_in_s: int, good_for_s: int
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    recent, claims = RecentTokens(keep_s=60), Claims("ada", "user", "acme", now + expires_in_s)
    recent.put("token", claims)

    monkeypatch.setattr(time, "time", lambda: now + good_for_s - 1)
    assert recent.get("token") == claims
    monkeypatch.setattr(time, "time", lambda: now + good_for_s)
    assert recent.get("token") is None


def test_the_number_of_cached_tokens_is_limited() -> None:
    recent = RecentTokens(capacity=10)
    tokens = [f"token-{number}" for number in range(45)]
    until = time.time() + 60

    for token in tokens:
        recent.put(token, Claims(token, "user", "acme", until))

    assert sum(recent.get(token) is not None for token in tokens) <= 10
    assert recent.get(tokens[-1]) == Claims(tokens[-1], "user", "acme", until)


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
def test_a_weak_secret_is_refused_at_the_start(secret: str) -> None:
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
def test_a_key_that_does_not_fit_is_refused_at_the_start(settings: TokenSettings) -> None:
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
