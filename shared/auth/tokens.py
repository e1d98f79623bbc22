"""Bearer tokens: JSON Web Tokens of one configured algorithm, made and verified here only.

RFC 8725 is followed where it applies: the algorithm and the key come from the configuration, never from
the token, whose `jku`, `x5u` and `jwk` are not looked at and whose `kid` only picks among our own keys.
"""

import json
import re
import threading
import time
import urllib.request
import warnings
from concurrent.futures import Future
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import jwt
import structlog
from jwt.warnings import InsecureKeyLengthWarning

from shared.auth.keys import PublicKey, check_keys, checked_public_key, fits
from shared.settings import SettingsError, TokenSettings

log = structlog.get_logger(__name__)

ROLES = ("user", "admin")

#: Also legal as the value of an ECS tag, which is where it ends.
ORGANIZATION_ID = re.compile(r"[A-Za-z0-9_.:=+@/-]{1,128}")
#: No lone surrogates: JSON can name them, but neither UTF-8 nor PostgreSQL can hold them.
SUBJECT = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,255}")

LEEWAY_S = 5


class TokenRefused(Exception):
    """The token proves nothing. The message is for the log; clients get one text for every cause."""


class KeysUnavailable(Exception):
    """The keys to verify with cannot be fetched, so nobody can tell whether the token is good."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a verified token says."""

    subject: str
    role: str
    organization_id: str | None


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
        # Whether a secret is too short is for the service to decide, which takes any in embedded mode.
        warnings.simplefilter("ignore", InsecureKeyLengthWarning)
        return jwt.encode(claims, tokens.secret, algorithm="HS256")


class TokenVerifier:
    """Decides whether a token is good. One per process; safe to share between threads."""

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
        """What the token says. Raises TokenRefused, or KeysUnavailable."""
        claims = self._recent.get(token)
        if claims is None:
            claims, expires_at = self._decode(token)
            self._recent.put(token, claims, expires_at)
        return claims

    def _decode(self, token: str) -> tuple[Claims, float]:
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
        return _claims(payload), expires_at


def _claims(payload: dict[str, Any]) -> Claims:
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
    return Claims(subject, role, organization_id)


class RecentTokens:
    """Tokens that were verified a moment ago: few, and for so short that a withdrawn key soon counts."""

    def __init__(self, *, capacity: int = 4096, keep_s: float = 60) -> None:
        self._capacity = capacity
        self._keep_s = keep_s
        self._entries: dict[str, tuple[Claims, float]] = {}

    def get(self, token: str) -> Claims | None:
        """What the token says, if it was verified and is still good."""
        claims, until = self._entries.get(token, (None, 0.0))
        return claims if time.time() < until else None

    def put(self, token: str, claims: Claims, expires_at: float) -> None:
        """Remember the token, but not beyond its own end."""
        if len(self._entries) >= self._capacity:
            self._entries.clear()
        self._entries[token] = (claims, min(expires_at, time.time() + self._keep_s))


def _keys(tokens: TokenSettings, *, embedded: bool) -> "_OneKey | _Jwks":
    check_keys(tokens, embedded=embedded)
    if tokens.algorithm == "HS256":
        return _OneKey(tokens.secret)
    if tokens.public_key:
        return _OneKey(checked_public_key(tokens.public_key, tokens.algorithm))
    return _Jwks(tokens.jwks_url, tokens.algorithm)


class _OneKey:
    def __init__(self, key: str | PublicKey) -> None:
        self._key = key

    def find(self, _token: str) -> str | PublicKey:
        return self._key


class _Jwks:
    """The keys behind a JWKS URL, fetched on first use and again for an unknown `kid`.

    A fetch that fails keeps what is known, so an identity provider that is away shuts nobody out.
    """

    TIMEOUT_S = 3
    MAX_BYTES = 256 * 1024
    PAUSE_S = 60  # between two fetches, whatever `kid` the tokens name
    PAUSE_WITHOUT_KEYS_S = 5
    MAX_AGE_S = 3600  # after which a withdrawn key is noticed

    def __init__(self, url: str, algorithm: str) -> None:
        self._url = url
        self._algorithm = algorithm
        self._keys: dict[str | None, PublicKey] = {}
        self._fetched_at = 0.0
        self._next_fetch = 0.0
        self._lock = threading.Lock()
        self._answer: Future[bytes] | None = None  #: of the last fetch

    def find(self, token: str) -> PublicKey:
        kid = jwt.get_unverified_header(token).get("kid")
        key = self._known(kid)
        if kid not in self._keys or time.monotonic() - self._fetched_at > self.MAX_AGE_S:
            self._refresh(wait=key is None)
            key = self._known(kid)
        if key is not None:
            return key
        if not self._keys:
            raise KeysUnavailable
        raise TokenRefused("unknown kid")

    def _known(self, kid: str | None) -> PublicKey | None:
        keys = self._keys
        if kid is None and len(keys) == 1:
            return next(iter(keys.values()))
        return keys.get(kid)

    def _refresh(self, *, wait: bool) -> None:
        """Fetch, if the pause is over. Unless it is to wait, it leaves that to a thread that is at it."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            now = time.monotonic()
            if now >= self._next_fetch:
                self._replace_keys(now)
        finally:
            self._lock.release()

    def _replace_keys(self, now: float) -> None:
        try:
            self._keys = self._read(self._fetch())
            self._fetched_at = now
        except Exception as error:  # whatever a stranger's server answers, the known keys stay good
            log.warning("jwks.not_fetched", url=self._url, error=repr(error))
        pause = self.PAUSE_S if self._keys else self.PAUSE_WITHOUT_KEYS_S
        self._next_fetch = time.monotonic() + pause

    def _fetch(self) -> bytes:
        """In a thread of its own: urllib's time-out is for each read, so a server that drips has no end."""
        if self._answer is not None and not self._answer.done():
            raise TimeoutError("an earlier answer still drips")
        self._answer = Future()
        threading.Thread(target=self._download, args=(self._answer,), name="jwks", daemon=True).start()
        return self._answer.result(self.TIMEOUT_S)

    def _download(self, answer: "Future[bytes]") -> None:
        try:
            answer.set_result(self._get())
        except Exception as error:  # the waiting thread's, to be logged there
            answer.set_exception(error)

    def _get(self) -> bytes:
        until = time.monotonic() + self.TIMEOUT_S
        body = b""
        opener = urllib.request.build_opener(_AsAnswered)
        with opener.open(self._url, timeout=self.TIMEOUT_S) as answer:
            if answer.status != HTTPStatus.OK:
                raise ValueError(f"the status is {answer.status}")
            while part := answer.read1(self.MAX_BYTES):
                body += part
                if len(body) > self.MAX_BYTES:
                    raise ValueError("the answer is too long")
                if time.monotonic() > until:
                    raise TimeoutError("the answer takes too long")
        return body

    def _read(self, body: bytes) -> dict[str | None, PublicKey]:
        keys: dict[str | None, PublicKey] = {}
        for data in json.loads(body)["keys"]:
            try:
                if self._is_ours(data):
                    keys[data.get("kid")] = self._key(data)
            except Exception as error:  # one bad key is no reason to do without the others
                log.warning("jwks.key_skipped", url=self._url, error=repr(error))
        if not keys:
            raise ValueError(f"no key fits {self._algorithm}")
        return keys

    def _is_ours(self, data: dict[str, Any]) -> bool:
        family = "RSA" if self._algorithm == "RS256" else "EC"
        return (
            data.get("kty") == family
            and data.get("use", "sig") == "sig"
            and data.get("alg", self._algorithm) == self._algorithm
        )

    def _key(self, data: dict[str, Any]) -> PublicKey:
        key = jwt.PyJWK(data, algorithm=self._algorithm).key
        if not isinstance(key, PublicKey) or not fits(key, self._algorithm):
            raise ValueError(f"it does not fit {self._algorithm}")
        return key


class _AsAnswered(urllib.request.HTTPErrorProcessor):
    """Follows no redirect, and leaves every answer to be closed by who asked."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response
