"""The public keys that an identity provider publishes at a URL: a JSON Web Key Set (RFC 7517)."""

import json
import threading
import time
import urllib.request
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

import jwt
import structlog

from shared.auth.errors import KeysUnavailable, TokenRefused
from shared.auth.keys import PublicKey, fits

log = structlog.get_logger(__name__)


class Jwks:
    """The keys behind a JWKS URL, fetched on first use and again for an unknown `kid`.

    A fetch that fails keeps the known keys, so an identity provider that is unavailable locks no client out.
    """

    TIMEOUT_S = 3
    MAX_BYTES = 256 * 1024
    PAUSE_S = 60  # between two fetches, even for an unknown `kid`
    PAUSE_WITHOUT_KEYS_S = 5
    MAX_AGE_S = 3600  # a withdrawn key is noticed after this time

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
        """Fetch if the pause is over. While another thread is fetching, wait for it, or return at once without `wait`."""
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
        except Exception as error:  # the known keys stay valid, whatever the server answers
            log.warning("jwks.not_fetched", url=self._url, error=repr(error))
        pause = self.PAUSE_S if self._keys else self.PAUSE_WITHOUT_KEYS_S
        self._next_fetch = time.monotonic() + pause

    def _fetch(self) -> bytes:
        """Fetch in a thread: urllib's time-out is per read, so a server that sends byte by byte would never end it."""
        if self._answer is not None and not self._answer.done():
            raise TimeoutError("an earlier answer is still arriving")
        self._answer = Future()
        threading.Thread(target=self._download, args=(self._answer,), name="jwks", daemon=True).start()
        return self._answer.result(self.TIMEOUT_S)

    def _download(self, answer: "Future[bytes]") -> None:
        try:
            answer.set_result(self._get())
        except Exception as error:  # raised and logged in the waiting thread
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
            except Exception as error:  # a bad key does not invalidate the others
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
    """Follows no redirect, and returns every response to the caller, which closes it."""

    def http_response(self, request: Any, response: Any) -> Any:
        return response

    https_response = http_response
