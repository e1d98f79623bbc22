"""The decorator that registers an operation: its route, its body, query and answer, and its place in the document."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeVar

from flask import request
from flask_smorest import Blueprint
from marshmallow import Schema

from api.http.auth import authenticate, authenticate_scope, authenticate_tenant, identity
from api.http.document.examples import EXAMPLES, Examples
from api.http.fields.fields import Body, Query
from api.http.parsing import MAX_BODY_BYTES, RequestParser, takes_bodies_up_to, takes_no_query
from api.resources import resources

View = TypeVar("View", bound=Callable[..., Any])

#: The names of the errors in the document.
ERROR_NAMES = {
    400: "InvalidCharger",
    401: "Unauthenticated",
    403: "NotAllowed",
    404: "NotFound",
    408: "BodyTooSlow",
    413: "BodyTooLarge",
    415: "NotJson",
    422: "InvalidRequest",
    429: "TooManyRequests",
    500: "InternalError",
    503: "Unavailable",
}

_DESCRIPTION_OF_FINAL = "With `wait`: the command is final, and `command` shows its result."
_DESCRIPTION_OF_ACCEPTED = (
    " With `until=accepted`: the CSMS accepted the charger, and `runtime` says since when."
)


LOCATION_HEADER = {
    "Location": {"description": "The path to poll for the result.", "schema": {"type": "string"}}
}


@dataclass(frozen=True, slots=True)
class Instead:
    """The 200 of an operation that otherwise answers 202."""

    answer: type[Schema]
    description: str
    example: Any


class Access(StrEnum):
    """Who may call a group of operations. There is no default, so none is open by oversight."""

    PUBLIC = "public"
    TOKEN = "token"  # noqa: S105  # no password
    TENANT = "tenant"
    SCOPE = "scope"  #: an organization's, or an admin's for all of them


ACCESS_ERRORS = {
    Access.PUBLIC: (),
    Access.TOKEN: (401, 403, 422, 500, 503),
    Access.TENANT: (401, 403, 422, 429, 500, 503),
    Access.SCOPE: (401, 403, 422, 500, 503),
}
#: The errors of reading any body.
BODY_ERRORS = (400, 408, 413, 415)


class Operations(Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """A blueprint whose routes are documented as they are declared."""

    ARGUMENTS_PARSER = RequestParser()

    def __init__(
        self, name: str, import_name: str, *, access: Access, description: str, **kwargs: Any
    ) -> None:
        super().__init__(name, import_name, description=description, **kwargs)
        self._access = access
        self._prepare_doc_cbks.append(_document_key)
        if access is Access.TENANT:
            self.before_request(authenticate_tenant)
            self.before_request(limit_rate)
        elif access is Access.SCOPE:
            self.before_request(authenticate_scope)
        elif access is Access.TOKEN:
            self.before_request(authenticate)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        status: int = 200,
        answer: type[Schema] | None = None,
        query: type[Query] | None = None,
        body: type[Body] | None = None,
        errors: tuple[int, ...] = (),
        content_type: str | None = None,
        other_content: Mapping[str, Any] = MappingProxyType({}),
        parameters: list[dict[str, Any]] | None = None,
        examples: Examples | None = None,
        when_final: str = _DESCRIPTION_OF_FINAL,
        instead: Instead | None = None,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> Callable[[View], View]:
        """Register the view, which gets the parsed body and query first and returns what `answer` dumps.

        The document's summary and description are the view's docstring; its examples are in api/http/document/examples.py
        unless given. An operation that answers 202 takes `wait` and then may answer 200, which `when_final` describes;
        empty for one that never does; or `instead` says what else a 200 is. `other_content` has media types that a client
        may accept instead. `errors` are those that do not follow from
        the access, the path and the body.
        Where a token is needed, an unknown query parameter is a 422. Public routes ignore it: probes, scrapers and
        browsers add some to bypass caches.
        """
        errors += _implied_errors(self._access, self.url_prefix or "", rule, has_body=body is not None)

        def register(view: View) -> View:
            operation_id = view.__name__
            shown = examples or EXAMPLES.get(operation_id, Examples())
            described = _documentation(view, errors, self._access, parameters)
            if other_content:
                described["responses"][status] = {"content": dict(other_content)}
            documented = self.doc(**described)(view)
            documented = self._parsing_query(documented, query)
            if body is not None:
                documented = self.arguments(body(), required=not body.optional, examples=shown.bodies)(
                    documented
                )
            documented = self.response(
                status,
                answer,
                description=HTTPStatus(status).phrase,
                example=shown.answer,
                examples=shown.answers,
                content_type=content_type,
                headers=LOCATION_HEADER if status == 202 else {},
            )(documented)
            if status == 202 and when_final:
                documented = self.alt_response(
                    200, schema=answer, success=True, **_when_waited(shown, when_final)
                )(documented)
            if instead is not None:
                documented = self.alt_response(
                    200,
                    schema=instead.answer,
                    success=True,
                    description=instead.description,
                    example=instead.example,
                )(documented)
            if max_body_bytes != MAX_BODY_BYTES:
                documented = takes_bodies_up_to(max_body_bytes, documented)
            of_organization = self._access in (Access.TENANT, Access.SCOPE)
            common = ["OrganizationId", "RequestId"] if of_organization else ["RequestId"]
            self.route(rule, methods=[method], endpoint=operation_id, parameters=common)(documented)
            return view

        return register

    def _parsing_query(self, view: View, query: type[Query] | None) -> View:
        parsing: View = view
        if query is not None:
            parsing = self.arguments(query(), location="query")(view)
        elif self._access is not Access.PUBLIC:
            parsing = takes_no_query(view)
        return parsing


def _implied_errors(access: Access, prefix: str, rule: str, *, has_body: bool) -> tuple[int, ...]:
    """The errors that any operation of this kind may answer with."""
    errors = ACCESS_ERRORS[access]
    if "<" in prefix + rule:
        errors += (404,)
    if has_body:
        errors += BODY_ERRORS
    return errors


def _documentation(
    view: View, errors: tuple[int, ...], access: Access, parameters: list[dict[str, Any]] | None
) -> dict[str, Any]:
    """The operation object, without what flask-smorest adds to it."""
    summary, *paragraphs = (inspect.getdoc(view) or "").split("\n\n")
    documentation: dict[str, Any] = {
        "operationId": view.__name__,
        "summary": summary,
        "responses": {str(code): {"$ref": f"#/components/responses/{ERROR_NAMES[code]}"} for code in errors},
    }
    if paragraphs:
        documentation["description"] = "\n\n".join(text.replace("\n", " ") for text in paragraphs)
    if parameters is not None:
        documentation["parameters"] = parameters
    if access is not Access.PUBLIC:
        documentation["security"] = [{"bearer": []}]
    return documentation


def _when_waited(examples: Examples, description: str) -> dict[str, Any]:
    """The 200 of an operation that waits."""
    shown = {"final": {"summary": "wait=30", "value": examples.final}}
    if examples.accepted is not None:
        description += _DESCRIPTION_OF_ACCEPTED
        shown["accepted"] = {"summary": "wait=30&until=accepted", "value": examples.accepted}
    return {"description": description, "examples": shown}


def limit_rate() -> None:
    """Count the current request for its organization, if it has one. Raises TooManyRequests."""
    limit = resources().rate_limit
    if limit is None or request.method == "OPTIONS":
        return
    if (organization_id := identity().organization_id) is not None:
        limit.count(organization_id)


def _document_key(doc: dict[str, Any], _: dict[str, Any], *, method: str, **__: Any) -> dict[str, Any]:
    """Every POST takes an Idempotency-Key."""
    if method == "post":
        doc.setdefault("parameters", []).append("IdempotencyKey")
    return doc
