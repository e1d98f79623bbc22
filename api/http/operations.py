"""One decorator per operation: its route, what it takes, what it answers, and its place in the document."""

from collections.abc import Callable, Mapping
from enum import StrEnum
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, TypeVar

from flask import request
from flask_smorest import Blueprint
from marshmallow import Schema

from api.http.auth import authenticate, authenticate_tenant, requester
from api.http.fields import Body, Query
from api.http.parsing import RequestParser, takes_no_query
from api.resources import resources

View = TypeVar("View", bound=Callable[..., Any])

#: What the errors are called in the document.
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

_DESCRIPTION_OF_FINAL = "With `wait`: it is final, and `command` says how it ended."
_DESCRIPTION_OF_ACCEPTED = (
    " With `until=accepted`: the CSMS accepted the charger, and `runtime` says since when."
)


#: What the reading of any body may end with.
BODY_ERRORS = (400, 408, 413, 415)


class Access(StrEnum):
    """Who may call a group of operations. There is no default, so that none is open by oversight."""

    PUBLIC = "public"
    TOKEN = "token"  # noqa: S105  # no password
    TENANT = "tenant"


class Operations(Blueprint):  # type: ignore[misc]  # flask-smorest has no types
    """Routes that are documented as they are declared."""

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
        example: Any = None,
        examples: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] = MappingProxyType({}),
        content_type: str | None = None,
        parameters: list[dict[str, Any]] | None = None,
        final_example: Any = None,
        accepted_example: Any = None,
        operation_id: str | None = None,
        summary: str | None = None,
        described: str | None = None,
    ) -> Callable[[View], View]:
        """Register the view. It gets the parsed body and query first, and returns what `answer` dumps.

        Where a token is needed, a query parameter that `query` does not have is a 422. Public routes take any:
        probes, scrapers and browsers add some against caches.
        A final_example is for an operation that answers 200 instead when it could wait for the end of it; an
        accepted_example for one that can also wait for the CSMS to accept the charger.
        May be stacked to serve one view on two routes: what comes back is the view itself.
        """
        doc: dict[str, Any] = {
            "operationId": operation_id,
            "summary": summary,
            "description": described,
            "parameters": parameters,
            "responses": {
                str(code): {"$ref": f"#/components/responses/{ERROR_NAMES[code]}"} for code in errors
            },
        }
        if self._access is not Access.PUBLIC:
            doc["responses"]["422"] = {"$ref": f"#/components/responses/{ERROR_NAMES[422]}"}
        if body is not None:
            for code in BODY_ERRORS:
                doc["responses"][str(code)] = {"$ref": f"#/components/responses/{ERROR_NAMES[code]}"}
        if self._access is Access.TENANT:
            doc["responses"]["429"] = {"$ref": f"#/components/responses/{ERROR_NAMES[429]}"}
        if self._access is not Access.PUBLIC:
            doc["security"] = [{"bearer": []}]

        def register(view: View) -> View:
            doc["operationId"] = operation_id or view.__name__
            documented = self.doc(**{key: value for key, value in doc.items() if value is not None})(view)
            if query is not None:
                documented = self.arguments(query(), location="query")(documented)
            elif self._access is not Access.PUBLIC:
                documented = takes_no_query(documented)
            if body is not None:
                documented = self.arguments(body(), required=not body.optional, examples=examples)(documented)
            documented = self.response(
                status,
                answer,
                description=HTTPStatus(status).phrase,
                example=example,
                content_type=content_type,
                headers={name: _header(description) for name, description in headers.items()},
            )(documented)
            if final_example is not None:
                documented = self.alt_response(
                    200,
                    schema=answer,
                    description=_DESCRIPTION_OF_FINAL
                    + (accepted_example is not None) * _DESCRIPTION_OF_ACCEPTED,
                    examples={"final": {"summary": "wait=30", "value": final_example}}
                    | (
                        {"accepted": {"summary": "wait=30&until=accepted", "value": accepted_example}}
                        if accepted_example is not None
                        else {}
                    ),
                    success=True,
                )(documented)
            self.route(
                rule,
                methods=[method],
                endpoint=doc["operationId"],
                parameters=["OrganizationId", "RequestId"]
                if self._access is Access.TENANT
                else ["RequestId"],
            )(documented)
            return view

        return register


def limit_rate() -> None:
    """Count the current request for its organization. Raises TooManyRequests."""
    limit = resources().rate_limit
    if limit is not None and request.method != "OPTIONS":
        limit.count(requester().organization_id)


def _document_key(doc: dict[str, Any], _: dict[str, Any], *, method: str, **__: Any) -> dict[str, Any]:
    """Every POST takes one."""
    if method == "post":
        doc.setdefault("parameters", []).append("IdempotencyKey")
    return doc


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}
