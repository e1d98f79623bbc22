"""What pages in a browser need of every answer: permission for other origins, and small bodies."""

import re

from flask import Flask, Response, request
from flask_compress import Compress
from flask_cors import CORS

from api.http.auth import ORGANIZATION_HEADER
from api.http.idempotency_key import KEY_HEADER, REPLAYED_HEADER
from api.http.waits import SKIPPED_HEADER

#: The API, and nothing of our own pages.
SHARED_PATHS = r"/(ocpp|ocpi)/.*|/health|/ready|/openapi\.json"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
SENT = ("Authorization", "Content-Type", "Last-Event-ID", "X-Request-Id", ORGANIZATION_HEADER, KEY_HEADER)
READ = ("X-Request-Id", "Retry-After", "Location", "WWW-Authenticate", REPLAYED_HEADER, SKIPPED_HEADER)
PREFLIGHT_S = 3600  # that a browser may remember the permission

MIN_BYTES = 1024  # of a body that is worth compressing
#: 3 takes half of the CPU time of zlib's usual 6, and its rows are a tenth larger.
LEVEL = 3
TYPES = (
    "application/json",
    "application/xml",
    "text/csv",
    "text/html",
    "text/css",
    "text/javascript",
    "application/javascript",
    "text/plain",
    "text/markdown",
    "image/svg+xml",
)


def allow_origins(app: Flask, origins: tuple[str, ...]) -> None:
    """Let pages of these origins call the API. Without any, no answer has a header about it."""
    if not origins:
        return
    CORS(
        app,
        resources=SHARED_PATHS,
        # Patterns, because a text with the brackets of an IPv6 address would be taken for one.
        origins=[re.compile(re.escape(origin) + r"\Z") for origin in origins],
        methods=METHODS,
        allow_headers=SENT,
        expose_headers=READ,
        max_age=PREFLIGHT_S,
        always_send=False,
        intercept_exceptions=False,  # every error has a handler, whose answers come here too
    )

    @app.after_request
    def vary(response: Response) -> Response:
        """Also without an origin: a cache may not serve such an answer to a page."""
        response.vary.add("Origin")
        return response


def compress_answers(app: Flask) -> None:
    """Compress with gzip what is long enough, for clients that accept it. Streams are never compressed."""
    app.config |= {
        "COMPRESS_REGISTER": False,
        "COMPRESS_ALGORITHM": ["gzip"],
        "COMPRESS_LEVEL": LEVEL,
        "COMPRESS_MIN_SIZE": MIN_BYTES,
        "COMPRESS_MIMETYPES": TYPES,
        "COMPRESS_STREAMS": False,
    }
    compress = Compress(app)

    @app.after_request
    def shrink(response: Response) -> Response:
        if response.is_streamed or (response.content_length or 0) < MIN_BYTES:
            return response
        if not request.accept_encodings["gzip"]:  # Flask-Compress uses what has a quality of 0
            response.vary.add("Accept-Encoding")
            return response
        return compress.after_request(response)
