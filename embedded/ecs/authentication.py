"""Who may call the embedded ECS: its owner, who proves it with the secret access key.

A task definition decides what runs as the user of this machine, so a call needs a proof of the secret: Amazon's own,
which boto3 sends anyway ("AWS Signature Version 4", IAM User Guide). Whoever uses the routes under /_chargehand sends
the same two values as user name and password.
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

from embedded.ecs.faults.rules import aws_error

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HEALTH_PATH = "/_chargehand/health"
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
MOST_SKEW = timedelta(minutes=5)
MOST_BODY_BYTES = 8 * 1024 * 1024  # the largest call is PutLogEvents: a MiB of events, and more as JSON

#: Without these in the signature somebody could turn one call into another.
MUST_BE_SIGNED = {"host", "x-amz-date", "x-amz-target"}
ALGORITHM = "AWS4-HMAC-SHA256"
AUTHORIZATION = re.compile(
    ALGORITHM + r" Credential=(?P<key>[^/,\s]+)/(?P<scope>(?P<date>\d{8})/[\w-]+/[\w-]+/aws4_request),"
    r"\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)


@dataclass(frozen=True)
class Credentials:
    """An access key of this ECS, and of no other."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


class OwnersOnly:
    """WSGI middleware: lets the owner's calls pass. The health route is open to all who use the right name."""

    def __init__(self, app: "WSGIApplication", credentials: Credentials, names: Iterable[str]) -> None:
        """`names` are those that clients use in `Host`, beside loopback's own."""
        self._app = app
        self._credentials = credentials
        self._names = {name.lower() for name in (*LOOPBACK_NAMES, *names)}

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        answer = self._refusal(environ) or self._app
        return answer(environ, start_response)

    def _refusal(self, environ: "WSGIEnvironment") -> Response | None:
        host = environ.get("HTTP_HOST", "")
        if not self._is_ours(host):
            # A web page whose name was made to lead to this machine (DNS rebinding) still says its own name.
            return aws_error(403, "AccessDeniedException", f"This server does not answer as {host!r:.200}.")
        path = environ.get("PATH_INFO", "")
        if path == HEALTH_PATH:
            return None
        return self._refuse_call(environ) if path == "/" else self._refuse_knob(environ)

    def _is_ours(self, host: str) -> bool:
        try:
            return (urlsplit(f"//{host}").hostname or "") in self._names
        except ValueError:
            return False

    def _refuse_knob(self, environ: "WSGIEnvironment") -> Response | None:
        if _is_same(environ.get("HTTP_AUTHORIZATION", ""), basic(self._credentials)):
            return None
        answer = aws_error(
            401, "AccessDeniedException", "Use the access key id as user and its secret as password."
        )
        answer.headers["WWW-Authenticate"] = 'Basic realm="embedded ECS"'
        return answer

    def _refuse_call(self, environ: "WSGIEnvironment") -> Response | None:
        """Reads the body only for who knows the access key id."""
        given = environ.get("HTTP_AUTHORIZATION", "")
        if not given:
            return aws_error(400, "MissingAuthenticationTokenException", "Missing Authentication Token")
        found = AUTHORIZATION.fullmatch(given)
        if found is None:
            return aws_error(400, "IncompleteSignatureException", "The Authorization header is not complete.")
        if not _is_same(found["key"], self._credentials.access_key_id):
            message = "The security token included in the request is invalid."
            return aws_error(400, "UnrecognizedClientException", message)
        length = environ.get("CONTENT_LENGTH") or "0"
        if not length.isdecimal() or int(length) > MOST_BODY_BYTES:
            return aws_error(413, "RequestEntityTooLarge", f"A request has at most {MOST_BODY_BYTES} bytes.")
        body = environ["wsgi.input"].read(int(length))
        environ["wsgi.input"] = io.BytesIO(body)
        signed = found["headers"].split(";")
        headers = {name: _header(environ, name) for name in signed}
        if not headers.keys() >= MUST_BE_SIGNED or not _is_same(
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
    """What was signed long ago is not taken again."""
    now = datetime.now(UTC)
    try:
        signed_at = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        signed_at = None
    if signed_at is not None and abs(now - signed_at) <= MOST_SKEW and stamp.startswith(date):
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
    """What the header `Authorization` says at the routes under /_chargehand."""
    pair = f"{credentials.access_key_id}:{credentials.secret_access_key}"
    return f"Basic {b64encode(pair.encode()).decode()}"


def _is_same(given: str, ours: str) -> bool:
    """Takes as long whatever is given, and refuses everything where ours is empty."""
    return bool(ours) and hmac.compare_digest(given.encode(), ours.encode())
