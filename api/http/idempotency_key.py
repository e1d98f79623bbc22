"""Reads the Idempotency-Key of a request, which identifies its repeats."""

import re

from flask import g, request

from api.http.auth import requester
from api.http.fields.fields import Problem
from api.http.parsing import InvalidRequest, item
from api.resources import resources
from shared.fleet.idempotency import Attempt

KEY_HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

KEY = re.compile(r"[\x20-\x7e]{1,255}")


def this_attempt() -> Attempt | None:
    """The current request's key, route and body; None without a key. Raises InvalidRequest."""
    key = request.headers.get(KEY_HEADER)
    if key is None:
        return None
    if not KEY.fullmatch(key):
        problem = Problem("Key should have 1 to 255 printable ASCII characters", "value_error")
        raise InvalidRequest([item(["header", KEY_HEADER], problem)])
    return Attempt(
        organization_id=requester().organization_id,
        route=f"{request.method} {request.path}",
        key=key,
        body_digests=resources().sealer.digests(g.body),
    )
