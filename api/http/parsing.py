"""Parses the body and the query of a request. Strict: an unknown key or parameter is an error too.

Stock parsers accept NaN, lone surrogates and bodies of any type, and answer 500 to deep nesting.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, TypeVar, cast

import gevent
import orjson
from flask import Request, g, request
from gunicorn.http.errors import ParseException
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    RequestEntityTooLarge,
    RequestTimeout,
    UnsupportedMediaType,
)

from api.http.fields.fields import REQUIRED, UNKNOWN_PARAMETER, Body, Problem, Repeated

View = TypeVar("View", bound=Callable[..., Any])

MAX_BODY_BYTES = 64 * 1024
INCOMPLETE = "The body is malformed or incomplete"
BODY_TIMEOUT_S = 10  # for the whole body to arrive

_JSON_INVALID = Problem("JSON decode error", "json_invalid")
_SINGLE = Problem("Query parameter should be given once", "value_error")
_WHERE = {"json": "body", "query": "query"}


class InvalidRequest(Exception):
    """The request does not fit the schema. `items` are the entries of the contract's 422 body (3.1)."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__(items)
        self.items = items


class RequestParser(FlaskParser):
    """webargs' parser with stricter readers, and with errors in the contract's shape."""

    DEFAULT_UNKNOWN_BY_LOCATION = {"json": None, "query": None}  # noqa: RUF012  # webargs' name; the schema decides

    def load_json(self, req: Request, schema: Schema) -> Any:
        """The body. Raises InvalidRequest, or BadRequest, RequestTimeout, RequestEntityTooLarge, UnsupportedMediaType."""
        raw = g.body = _read_body(req)
        if not raw:
            if isinstance(schema, Body) and schema.optional:
                return {}
            raise InvalidRequest([item(["body"], REQUIRED)])
        if (
            req.mimetype != "application/json"
            or req.mimetype_params.get("charset", "utf-8").lower() != "utf-8"
        ):
            raise UnsupportedMediaType("The body must be application/json in UTF-8")
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise InvalidRequest([item(["body", 0], _JSON_INVALID)]) from error

    def load_querystring(self, req: Request, schema: Schema) -> dict[str, str | list[str]]:
        """The query. Raises InvalidRequest if a known parameter occurs twice that may not; the schema refuses unknown ones."""
        given: dict[str, str | list[str]] = {}
        for name, values in req.args.lists():
            field = schema.load_fields.get(name)
            if isinstance(field, Repeated):
                given[name] = values
                continue
            if len(values) > 1 and field is not None:
                raise InvalidRequest([item(["query", name], _SINGLE)])
            given[name] = values[0]
        return given

    def handle_error(self, error: ValidationError, *_: Any, **__: Any) -> NoReturn:
        """Raises InvalidRequest."""
        items = []
        for location, messages in error.messages_dict.items():
            items += _items([_WHERE[location]], messages)
        # marshmallow reports unknown parameters in no order.
        position = {name: index for index, name in enumerate(request.args)}
        items.sort(key=lambda found: position.get(found["loc"][-1], -1))
        raise InvalidRequest(items) from error


def takes_no_query(view: View) -> View:
    """Wrap the view so that a request with any query raises InvalidRequest."""

    @wraps(view)
    def checked(*args: Any, **kwargs: Any) -> Any:
        if request.args:
            raise InvalidRequest([item(["query", name], UNKNOWN_PARAMETER) for name in request.args])
        return view(*args, **kwargs)

    return cast(View, checked)


def takes_bodies_up_to(max_bytes: int, view: View) -> View:
    """Wrap the view so that its bodies may be larger than MAX_BODY_BYTES."""

    @wraps(view)
    def allowing(*args: Any, **kwargs: Any) -> Any:
        request.max_content_length = max_bytes
        return view(*args, **kwargs)

    return cast(View, allowing)


def item(loc: list[str | int], problem: Problem) -> dict[str, Any]:
    """One entry of a 422's detail."""
    entry: dict[str, Any] = {"loc": loc, "msg": str(problem), "type": problem.type}
    if problem.ctx:
        entry["ctx"] = problem.ctx
    return entry


def _read_body(req: Request) -> bytes:
    chunked = "HTTP_TRANSFER_ENCODING" in req.environ
    if not req.content_length and not chunked:
        return b""
    if req.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("A compressed body is not supported")
    try:
        with gevent.Timeout(BODY_TIMEOUT_S, RequestTimeout("The body did not arrive in time")):
            body = req.get_data(cache=False)
    # A bad chunk or ending, or the client disconnected.
    except (ParseException, OSError, ClientDisconnected) as error:
        raise BadRequest(INCOMPLETE) from error
    if not chunked and len(body) < (req.content_length or 0):
        raise BadRequest(INCOMPLETE)
    if chunked and len(body) >= (
        req.max_content_length or MAX_BODY_BYTES
    ):  # where werkzeug stops reading without an error
        raise RequestEntityTooLarge
    return body


def _items(loc: list[str | int], messages: Any) -> list[dict[str, Any]]:
    if isinstance(messages, dict):
        found = []
        for key, below in messages.items():
            whole_body = key == "_schema" and loc[0] == "body"  # in a query it is the name of a parameter
            found += _items(loc if whole_body else [*loc, key], below)
        return found
    return [item(loc, problem) for problem in messages]
