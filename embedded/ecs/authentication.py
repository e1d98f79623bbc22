"""Checks the credentials of each call to the embedded ECS.

A task definition decides what runs as the user of this machine, so a call must be signed with the secret access key, as
boto3 signs it ("AWS Signature Version 4", IAM User Guide). The routes under /_chargehand take the access key id and the
secret as user name and password instead.
"""

import hashlib
import hmac
import io
import re
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from werkzeug import Response

from embedded.ecs.errors import aws_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEALTH_PATH = "/_chargehand/health"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MAX_SKEW = timedelta(minutes=5)
MAX_BODY_BYTES = 8 * 1024 * 1024  # the largest call is PutLogEvents: 1 MiB of events, and more as JSON

#: If one of these were not signed, a call could be turned into another.
MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-target"}
ALGORITHM = "AWS4-HMAC-SHA256"
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=(?P<key>[^/,\s]+)/(?P<scope>(?P<date>\d{8})/[\w-]+/[\w-]+/aws4_request),"
    r"\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Credentials:
    """The access key of this ECS."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class Authentication:
    """WSGI middleware: passes authenticated calls on and refuses others. The health route needs no credentials."""

    def __init__(self, app: "WSGIApplication", credentials: Credentials, names: Iterable[str]) -> None:
        """`names` are the host names that clients use, in addition to LOOPBACK_NAMES."""
        self._app = app
        self._credentials = credentials
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, *names)}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = self._refusal(environ) or self._app
        return answer(environ, start_response)

    def _refusal(self, environ: "WSGIEnvironment") -> Response | None:
        host = environ.get("HTTP_HOST", "")
        if not self._is_own_name(host):
            # With DNS rebinding a web page's name leads to this machine, but Host still has the page's name.
            return aws_error(403, "AccessDeniedException", f"This server does not answer as {host!r:.200}.")
        path = environ.get("PATH_INFO", "")
        if path == HEALTH_PATH:
            return None
        return self._refuse_call(environ) if path == "/" else self._refuse_control(environ)

    def _is_own_name(self, host: str) -> bool:
        try:
            return (urlsplit(f"//{host}").hostname or "") in self._names
        except ValueError:
            return False

    def _refuse_control(self, environ: "WSGIEnvironment") -> Response | None:
        if _are_equal(environ.get("HTTP_AUTHORIZATION", ""), basic(self._credentials)):
            return None
        answer = aws_error(
            401, "AccessDeniedException", "Use the access key id as user and its secret as password."
        )
        answer.headers["WWW-Authenticate"] = 'Basic realm="embedded ECS"'
        return answer

    def _refuse_call(self, environ: "WSGIEnvironment") -> Response | None:
        """Reads the body only if the access key id is right."""
        given = environ.get("HTTP_AUTHORIZATION", "")
        if not given:
            return aws_error(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
        found = AUTHORIZATION.fullmatch(given)
        if found is None:
            return aws_error(400, "IncompleteSignatureException", "The Authorization header is not complete.")
        if not _are_equal(found["key"], self._credentials.access_key_id):
            message = "The security token included in the request is invalid."
            return aws_error(400, "UnrecognizedClientException", message)
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            return aws_error(413, "RequestEntityTooLarge", f"A request has at most {MAX_BODY_BYTES} bytes.")
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        signed = found["headers"].split(";")
        headers = {name: _header(environ, name) for name in signed}
        if not headers.keys() >= MUST_BE_SIGNED or not _are_equal(
            found["signature"], self._signature(environ, headers, body, found["date"], found["scope"])
        ):
            return aws_error(
                403,
                "InvalidSignatureException",
                "The signature is not that of this request and secret access key.",
            )
        return _refuse_time(headers["x-amz-date"], found["date"])

    def _signature(
        self, environ: "WSGIEnvironment", headers: dict[str, str], body: bytes, date: str, scope: str
    ) -> str:
        request = "\n".join(
            (
                environ["REQUEST_METHOD"],
                "/",
                environ.get("QUERY_STRING", ""),
                *(f"{name}:{value}" for name, value in headers.items()),
                "",
                ";".join(headers),
                hashlib.sha256(body).hexdigest(),
            )
        )
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join((ALGORITHM, headers.get("x-amz-date", ""), scope, digest))
        _, region, service, _ = scope.split("/")
        key = _signing_key(self._credentials.secret_access_key, date, region, service)
        return _hmac(key, text).hex()


def _refuse_time(stamp: str, date: str) -> Response | None:
    """The refusal of a signature that is too old or too new."""
    now = datetime.now(UTC)
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        signed_at = None
    if signed_at is not None and abs(now - signed_at) <= MAX_SKEW and stamp.startswith(date):
        return None
    return aws_error(
        403,
        "InvalidSignatureException",
        f"Signature expired: {stamp:.20} is not within 5 minutes of {now:%Y%m%dT%H%M%SZ}.",
    )


@lru_cache(maxsize=16)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


def _header(environ: "WSGIEnvironment", name: str) -> str:
    key = name.upper().replace("-", "_")
    value = environ.get(key if key in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{key}", "")
    return " ".join(value.split())


def basic(credentials: Credentials) -> str:
    """The header `Authorization` of the routes under /_chargehand."""
    pair = f"{credentials.access_key_id}:{credentials.secret_access_key}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _are_equal(given: str, expected: str) -> bool:
    """Compares in constant time. An empty secret equals nothing."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
