"""Makes the OpenAPI document from the routes and schemas, and serves it and its page. Both work offline."""

import re
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from importlib.resources.abc import Traversable
from mimetypes import guess_type
from pathlib import Path
from typing import Any

from flask import Blueprint, Flask, Response, abort
from flask.typing import ResponseReturnValue
from flask_smorest import Api
from marshmallow import fields
from werkzeug.routing import BaseConverter

from api.http import schemas
from api.http.auth import ORGANIZATION_HEADER
from api.http.document.links import add_links
from api.http.document.operations import ERROR_NAMES
from api.http.errors import RETRY_AFTER_S
from api.http.fields.fields import OneOf, documented
from api.http.fields.json_fields import Map
from api.http.idempotency_key import KEY, KEY_HEADER, REPLAYED_HEADER
from shared.auth.tokens import ORGANIZATION_ID

TITLE = "Chargehand"
DESCRIPTION = """Runs fleets of simulated EV chargers: create, start, stop, restart and delete chargers that
really connect to a CSMS over OCPP.

The routes are those of the OCPPLAB Gateway API, so its official SDK works unchanged. Extensions only add keys
and routes, and are marked "beyond the contract".
"""

ERRORS = {
    400: "Invalid charger data: a business rule is violated. Or the body is malformed or incomplete.",
    401: "The bearer token is missing or not valid.",
    403: "The token has no organization or does not permit this, or the organization has the most chargers it may have.",
    404: "Not found in this organization.",
    408: "The body did not arrive within 10 s.",
    413: "The body is larger than 64 KiB, or than 1 MiB where it names many chargers.",
    415: "The body is not JSON in UTF-8.",
    422: "The request does not fit the schema, or the charger is not in a state for it.",
    429: "The organization exceeds its rate limit, has too many open commands, actions or jobs, or waits too often at once. Try again later.",
    500: "An internal error. Find it in the logs by the X-Request-Id.",
    503: "The database is not available. Try again.",
}
INVALID = {"detail": [{"loc": ["body", "identity"], "msg": "Field required", "type": "missing"}]}

# Swagger UI styles its elements inline and has its icons as data URLs.
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: The form of a request id that a client may send.
REQUEST_ID = re.compile(r"[A-Za-z0-9._:=+@/-]{1,128}")
#: Files of the page /docs, and the page that a 501 names: a link to the file in docs, which the package copies.
ASSETS = re.compile(r"[a-z0-9-]+\.(css|js|md|png)")


def make_document(app: Flask, *, converters: list[type[BaseConverter]]) -> Api:
    """An empty document; its register_blueprint adds routes to it and to the app."""
    app.config |= {"API_TITLE": TITLE, "API_VERSION": version("chargehand"), "OPENAPI_VERSION": "3.1.0"}
    document = _Document(
        app,
        spec_kwargs={
            "info": {
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
        },
    )
    document.ma_plugin.converter.add_attribute_function(_one_of)
    document.ma_plugin.converter.add_attribute_function(_values)
    for converter in converters:
        document.register_converter(
            converter, lambda found: {"type": "string", "pattern": documented(re.compile(found.regex))}
        )
    components = document.spec.components
    components.security_scheme(
        "bearer",
        {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A user's token carries its organization. An admin's does not: name one by "
            f"`{ORGANIZATION_HEADER}`.",
        },
    )
    components.parameter(
        "OrganizationId",
        "header",
        {
            "name": ORGANIZATION_HEADER,
            "required": False,
            "description": "The organization that an admin acts for. A user must not send it.",
            "schema": {"type": "string", "pattern": documented(ORGANIZATION_ID)},
        },
    )
    components.parameter(
        "IdempotencyKey",
        "header",
        {
            "name": KEY_HEADER,
            "required": False,
            "description": "Makes a repeat safe: for 24 h, a request with the same key, path and body gets the first "
            f"answer again, marked `{REPLAYED_HEADER}: true`. Another body with the key is a 422. After an error the "
            "key can be used again.",
            "schema": {"type": "string", "pattern": documented(KEY)},
        },
    )
    components.parameter(
        "RequestId",
        "header",
        {
            "name": "X-Request-Id",
            "required": False,
            "description": "Names the request in the answer, in the logs and on its command. One that does not fit is "
            "replaced by a new one.",
            "schema": {"type": "string", "pattern": documented(REQUEST_ID)},
        },
    )
    for status, description in ERRORS.items():
        components.response(ERROR_NAMES[status], _error(status, description))
    return document


def register_docs(app: Flask, document: Api) -> None:
    """Serve the document at /openapi.json and its page at /docs."""
    docs = Blueprint("docs", __name__)

    @cache
    def rendered() -> str:
        content = document.spec.to_dict()
        add_links(content)
        return app.json.dumps(content)

    @docs.get("/openapi.json")
    def openapi() -> ResponseReturnValue:
        return Response(rendered(), mimetype="application/json")

    @docs.get("/docs")
    def page() -> ResponseReturnValue:
        response = _file(files("api") / "static" / "docs.html")
        response.headers["Content-Security-Policy"] = PAGE_POLICY
        return response

    @docs.get("/docs/<name>")
    def asset(name: str) -> ResponseReturnValue:
        folders = (files("api") / "static", files("flask_swagger_ui") / "dist")
        known = [folder / name for folder in folders if ASSETS.fullmatch(name)]
        file = next((file for file in known if file.is_file()), None)
        if file is None:
            abort(404)
        response = _file(file)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    app.register_blueprint(docs)


class _Document(Api):  # type: ignore[misc]  # flask-smorest has no types
    """flask-smorest's document without its error bodies, and without its pages, which load files from other hosts."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Nothing: api/http/errors.py registers them."""


def _one_of(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """The schemas of a OneOf field; nothing for other fields."""
    if not isinstance(field, OneOf):
        return {}
    return {"oneOf": [converter.resolve_nested_schema(schema) for schema in field.schemas]}


def _values(converter: Any, field: fields.Field[Any], **_: Any) -> dict[str, Any]:
    """The schema of a Map field's values; nothing for other fields."""
    return {"additionalProperties": converter.field2property(field.values)} if isinstance(field, Map) else {}


def _error(status: int, description: str) -> dict[str, Any]:
    schema = schemas.ValidationErrors if status == 422 else schemas.PlainError
    example = INVALID if status == 422 else {"detail": description}
    headers = {
        401: {"WWW-Authenticate": {"schema": {"type": "string"}, "description": "RFC 6750."}},
        429: {"Retry-After": _seconds(1)},
        503: {"Retry-After": _seconds(RETRY_AFTER_S)},
    }
    response: dict[str, Any] = {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }
    if status in headers:
        response["headers"] = headers[status]
    return response


def _seconds(example: int) -> dict[str, Any]:
    return {"schema": {"type": "integer"}, "description": "Seconds.", "example": example}


def _file(file: Traversable) -> Response:
    mimetype = guess_type(file.name)[0] or "application/octet-stream"
    return Response(_content(str(file)), mimetype=mimetype)


@cache
def _content(path: str) -> bytes:
    """Cached, so that many slow downloads share one copy."""
    return Path(path).read_bytes()
