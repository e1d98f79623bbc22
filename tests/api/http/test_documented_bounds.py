"""The API accepts exactly the bounds that the OpenAPI document states, for every query, body and header field."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask
from openapi_schema_validator import OAS31Validator

from shared.fleet.actions.table import load_kinds
from tests.support.fleet import GROUPS, NEW_CHARGER, Fleet

NUMBERS = ["-1", "0", "1", "60", "61", "100", "101", "1000", "1001", "999999999", "1000000000", "9" * 12]
TEXTS = [
    "", "a", "A-1", ".", "..", "a b", "a\tb", "a\x7fb", "a\x85b", "\N{EURO SIGN}", "/", "a" * 32, "a" * 33, "a" * 48,
    "a" * 49, "a" * 64, "a" * 65, "a" * 100, "a" * 101, "a" * 128, "a" * 129, "a" * 255, "a" * 256,
    "2026-04-09T12:00:00Z", "2026-04-09t12:00:00.123+02:00", "2026-04-09T12:00Z", "2026-04-09", "2026-04-09T12:00:00",
    "OCPP1.6", "OCPP2.0.1", "OCPP9", "ws://csms.test/ocpp", "WSS://csms.test", "http://csms.test", "ws://a b",
    "ws://csms.test/#a", "ws://", "ws://csms.test/" + "a" * 2033, "ws://csms.test/" + "a" * 2034,
]  # fmt: skip
BOUNDS = {"enum", "pattern", "maximum", "maxItems", "maxLength", "maxProperties"}
OTHERS: list[Any] = [None, 5, True, [], {}, ["a"]]
PATHS = {
    "charger_id": "dep-1",
    "brand_slug": "abb",
    "model_slug": "x",
    "action_id": "1",
    "job_id": "1",
    "location_id": "somewhere",
    "host_id": "host-1",
    "command_id": "0" * 8 + "-0000-0000-0000-" + "0" * 12,
}
#: Bodies to which a query belongs, where it is not that of a new charger.
BODIES: dict[str, Any] = {
    f"/ocpp/commands/{kind.path}": {"target": {"charger_id": "dep-1"}, "event": kind.example or {}}
    for kind in load_kinds()
    if kind.method == "POST"
} | {"/ocpp/locations/somewhere/chargers": GROUPS, "/ocpp/locations/somewhere/wait": {}}


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


def _operations(document: Any) -> list[tuple[str, str, Any, list[Any]]]:
    """Method, path, the operation, and its parameters."""
    found = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                given = [*item.get("parameters", []), *operation.get("parameters", [])]
                parameters = [_resolved(document, one) for one in given]
                url = re.sub(r"{(\w+)}", lambda match: PATHS[match[1]], path)
                found.append((method.upper(), url, operation, parameters))
    return found


def _resolved(document: Any, item: Any) -> Any:
    for part in item.get("$ref", "").removeprefix("#/").split("/") if "$ref" in item else ():
        document = document[part]
    return document if "$ref" in item else item


def _leaves(document: Any, schema: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The fields of a schema that are no objects of fields themselves, each with its names."""
    for name, field in schema.get("properties", {}).items():
        inner = _resolved(document, next((one for one in field.get("anyOf", []) if "$ref" in one), field))
        if "properties" in inner:
            yield from _leaves(document, inner, *path, name)
        else:
            yield (*path, name), field


def _fits(schema: Any, value: Any) -> bool:
    if schema.get("type") == "array" and isinstance(value, str):
        value = [value]  # a query with the parameter once
    number = {"integer": int, "number": float}
    for kind in [schema.get("type")] if isinstance(schema.get("type"), str) else schema.get("type", []):
        if kind in number and isinstance(value, str) and re.fullmatch(r"-?[0-9]+", value):
            value = number[kind](value)
    return bool(OAS31Validator(schema).is_valid(value))


def _refused(answer: Any, place: str, name: str) -> bool:
    items = answer.json["detail"] if answer.status_code == 422 else []
    return any(isinstance(one, dict) and one["loc"][:2] == [place, name] for one in items)


def test_every_query_parameter_takes_what_the_document_says(fleet: Fleet, document: Any) -> None:
    checked = 0
    of_actions: set[str] = set()  # which have the same ones: each is tried once
    for method, path, _, parameters in _operations(document):
        for parameter in parameters:
            if path in BODIES:
                if str(parameter) in of_actions:
                    continue
                of_actions.add(str(parameter))
            if (
                parameter["in"] != "query"
                or "enum" in parameter["schema"]
                or parameter["name"] in ("after", "cursor")
            ):
                continue  # a cursor is good for the list that it came from: see test_cursors.py
            for value in NUMBERS + TEXTS:
                if parameter["name"] == "wait" and _fits(parameter["schema"], value) and method == "POST":
                    continue  # it would be waited for
                body: Any = {"json": BODIES.get(path, NEW_CHARGER)} if method == "POST" else {}
                answer = fleet.request(method, path, query_string={parameter["name"]: value}, **body)
                refused = _refused(answer, "query", parameter["name"])
                assert refused != _fits(parameter["schema"], value), (method, path, parameter["name"], value)
                checked += 1
    assert checked > 300


def test_every_field_of_a_body_takes_what_the_document_says(fleet: Fleet, document: Any) -> None:
    checked = 0
    for method, path, operation, _ in _operations(document):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        schema = _resolved(document, media.get("schema", {}))
        for name, field in schema.get("properties", {}).items():
            for value in TEXTS + OTHERS:
                answer = fleet.request(method, path, json={name: value})
                whole = field | {"components": document["components"]}
                refused, fits = _refused(answer, "body", name), _fits(whole, value)
                if name == "ws_url" and fits:
                    continue  # a good URL is more than its characters: see test_ws_url.py
                if name in ("charger_ids", "filters") and fits:
                    continue  # they must name chargers that exist: see test_jobs.py
                assert refused != fits, (method, path, name, value)
                checked += 1
    assert checked > 500


@pytest.mark.parametrize("name", ["Idempotency-Key", "Last-Event-ID", "X-Organization-Id"])
def test_every_header_takes_what_the_document_says(fleet: Fleet, document: Any, name: str) -> None:
    method, path, schema = next(
        (method, path, parameter["schema"])
        for method, path, _, parameters in _operations(document)
        for parameter in parameters
        if parameter["name"] == name and (name != "Idempotency-Key" or path.endswith("/stop-charger"))
    )
    admin = {"Authorization": f"Bearer {fleet.token(role='admin')}"} if name == "X-Organization-Id" else {}
    for value in [
        *NUMBERS,
        *(text for text in TEXTS if text.isascii() and text.isprintable()),
        "9" * 18,
        "9" * 19,
    ]:
        answer = fleet.request(method, path, headers={name: value} | admin)
        refused = _refused(answer, "header", name) or answer.status_code == 403
        assert refused != _fits(schema, value), value


def test_a_request_id_is_kept_when_it_is_as_the_document_says(fleet: Fleet, document: Any) -> None:
    schema = document["components"]["parameters"]["RequestId"]["schema"]
    for value in ("a", "A-1", "a b", "a" * 128, "a" * 129, "9"):
        answer = fleet.get("/health", headers={"X-Request-Id": value})
        assert (answer.headers["X-Request-Id"] == value) == _fits(schema, value)


def test_every_field_that_is_read_has_a_bound(document: Any) -> None:
    for method, path, operation, parameters in _operations(document):
        media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
        body = _leaves(document, _resolved(document, media.get("schema", {})))
        for name, schema in [*body, *((one["name"], one["schema"]) for one in parameters)]:
            bounded = schema.keys() & BOUNDS or schema.get("format") == "uuid" or "boolean" in schema["type"]
            assert bounded, (method, path, name)
