"""Make and verify bearer tokens: JSON Web Tokens of one configured algorithm.

Following RFC 8725, the algorithm and the key come from the configuration, never from the token. Its `jku`, `x5u` and
`jwk` are ignored, and its `kid` only selects one of our own keys.
"""

import re
import time
import warnings
from dataclasses import dataclass
from typing import Any

import jwt
from jwt.warnings import InsecureKeyLengthWarning

from shared.auth.errors import TokenRefused
from shared.auth.jwks import Jwks
from shared.auth.keys import PublicKey, check_keys, checked_public_key
from shared.settings import SettingsError, TokenSettings

ROLES = ("user", "admin")

#: Also legal as the value of an ECS tag, where it is stored.
ORGANIZATION_ID = re.compile(r"[A-Za-z0-9_.:=+@/-]{1,128}")
#: No lone surrogates: JSON can name them, but neither UTF-8 nor PostgreSQL can hold them.
SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")

LEEWAY_S = 5


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    subject: str
    role: str
    organization_id: str | None
    expires_at: float  #: in seconds since 1970; its `exp`


def make_token(
    tokens: TokenSettings, *, subject: str, organization_id: str | None, role: str, ttl_s: int
) -> str:
    """Sign a token for development. Raises SettingsError without an HS256 secret, ValueError on bad claims."""
    if tokens.algorithm != "HS256":
        raise SettingsError("JWT_ALGORITHM is not HS256: only the holder of the private key can make tokens")
    if not tokens.secret:
        raise SettingsError("JWT_SECRET is not set")
    if role not in ROLES:
        raise ValueError("the role is user or admin")
    if not SUBJECT.fullmatch(subject):
        raise ValueError("the subject has 1 to 255 characters, no control characters, no lone surrogates")
    if organization_id is not None and not ORGANIZATION_ID.fullmatch(organization_id):
        raise ValueError("the organization has 1 to 128 letters, digits and _.:=+@/-")
    now = int(time.time())
    claims: dict[str, Any] = {"sub": subject, "role": role, "iat": now, "exp": now + ttl_s}
    if organization_id is not None:
        claims["organization_id"] = organization_id
    if tokens.issuer:
        claims["iss"] = tokens.issuer
    if tokens.audience:
        claims["aud"] = tokens.audience
    with warnings.catch_warnings():
        # The service checks the secret's length, and accepts any in embedded mode.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(claims, tokens.secret, algorithm="HS256")


class TokenVerifier:
    """Verifies tokens. One per process; safe to share between threads."""

    def __init__(self, tokens: TokenSettings, *, embedded: bool) -> None:
        """Raises SettingsError when the configured key is missing or, unless embedded, easy to guess."""
        self._tokens = tokens
        self._keys = _keys(tokens, embedded=embedded)
        self._jwt = jwt.PyJWT(
            {
                "require": ["exp", "sub"],
                "verify_aud": bool(tokens.audience),
                "verify_iss": bool(tokens.issuer),
                "enforce_minimum_key_length": not embedded,
            }
        )
        self._recent = RecentTokens()

    def verify(self, token: str) -> Claims:
        """The claims of a valid token. Raises TokenRefused, KeysUnavailable."""
        claims = self._recent.get(token)
        if claims is None:
            claims = self._decode(token)
            self._recent.put(token, claims)
        return claims

    def _decode(self, token: str) -> Claims:
        tokens = self._tokens
        try:
            payload = self._jwt.decode(
                token,
                key=self._keys.find(token),
                algorithms=[tokens.algorithm],
                audience=tokens.audience or None,
                issuer=tokens.issuer or None,
                leeway=LEEWAY_S,
            )
            expires_at = float(payload["exp"])
            issued_at = float(payload.get("iat", time.time()))
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as error:
            raise TokenRefused(f"{type(error).__name__}: {error}") from error
        if tokens.max_age_s and expires_at - issued_at > tokens.max_age_s + LEEWAY_S:
            raise TokenRefused(f"valid for longer than {tokens.max_age_s} s")
        return _claims(payload, expires_at)


def _claims(payload: dict[str, Any], expires_at: float) -> Claims:
    subject, role = payload["sub"], payload.get("role")
    organization_id = payload.get("organization_id")
    if not isinstance(subject, str) or not SUBJECT.fullmatch(subject):
        raise TokenRefused("sub is empty, too long or has control characters or lone surrogates")
    if not isinstance(role, str):
        raise TokenRefused("role is missing")
    if organization_id is not None and not (
        isinstance(organization_id, str) and ORGANIZATION_ID.fullmatch(organization_id)
    ):
        raise TokenRefused("organization_id is malformed")
    return Claims(subject, role, organization_id, expires_at)


class RecentTokens:
    """A cache of verified tokens. Entries live for keep_s at most, so that a withdrawn key soon takes effect."""

    def __init__(self, *, capacity: int = 4096, keep_s: float = 60) -> None:
        self._capacity = capacity
        self._keep_s = keep_s
        self._entries: dict[str, tuple[Claims, float]] = {}

    def get(self, token: str) -> Claims | None:
        """The claims, if the token was verified and has not expired."""
        claims, until = self._entries.get(token, (None, 0.0))
        return claims if time.time() < until else None

    def put(self, token: str, claims: Claims) -> None:
        """Keep the claims for keep_s, but not beyond the token's expiry."""
        if len(self._entries) >= self._capacity:
            self._entries.clear()
        self._entries[token] = (claims, min(claims.expires_at, time.time() + self._keep_s))


def _keys(tokens: TokenSettings, *, embedded: bool) -> "_OneKey | Jwks":
    check_keys(tokens, embedded=embedded)
    if tokens.algorithm == "HS256":
        return _OneKey(tokens.secret)
    if tokens.public_key:
        return _OneKey(checked_public_key(tokens.public_key, tokens.algorithm))
    return Jwks(tokens.jwks_url, tokens.algorithm)


class _OneKey:
    def __init__(self, key: str | PublicKey) -> None:
        self._key = key

    def find(self, _token: str) -> str | PublicKey:
        return self._key
