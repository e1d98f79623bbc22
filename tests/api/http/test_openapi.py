"""The OpenAPI document matches the routes, and its page loads nothing from other hosts."""

import re
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from api.app import create_app
from api.http.document.links import LINKS
from api.live.streams import LIFE_S, SILENCE_S
from shared.error_codes import ErrorCode
from shared.fleet.actions.table import load_kinds
from tests.support.control import connect
from tests.support.fleet import Fleet

#: The document and its own page.
UNDOCUMENTED = {
    *("/openapi.json", "/docs", "/docs/{name}"),
    *("/dashboard/", "/dashboard/{path}", "/dashboard/assets/{version}/{path}"),
}

# Contract 3.2, and what every operation may have besides.
DECLARED = {
    "list_chargers": {401, 403, 422, 500},
    "create_charger": {400, 401, 403, 422, 500, 503},
    "get_charger_status": {401, 403, 404, 500},
    "get_charger": {401, 403, 404, 500},
    "delete_charger": {401, 403, 404, 500},
    "update_charger": {400, 401, 403, 404, 422, 500},
    "start_charger": {401, 403, 404, 422, 500},
    "stop_charger": {401, 403, 404, 422, 500},
    "reset_charger": {401, 403, 404, 422, 500},
    "list_charger_logs": {401, 403, 404, 422, 500},
    **{
        kind.name: {401, 403, 404, 422, 500} | ({400} if kind.answer != "queued" else set())
        for kind in load_kinds()
        if kind.method == "POST"
    },
    "list_locations": {401, 403, 422, 500},
    "create_location": {401, 403, 422, 500},
    **{f"{verb}_location": {401, 403, 404, 422, 500} for verb in ("get", "update", "delete")},
    "list_brands": {401, 403, 422, 500},
    "list_models": {401, 403, 404, 422, 500},
    "get_model": {401, 403, 404, 500},
}


#: RFC 2606 and 6761: nobody can have these.
RESERVED = re.compile(r"(.+\.)?(localhost|example|test|invalid|example\.(com|net|org))|127(\.\d+){3}")
#: The host of a URL, and what looks like a host anywhere else.
HOST = re.compile(r"\w+://([^/\s\"'`:?#]+)|\b((?:[a-z0-9-]+\.)+(?:app|cloud|com|dev|eu|io|net|org))\b", re.I)


@pytest.fixture(scope="module")
def document(app: Flask) -> Any:
    return app.test_client().get("/openapi.json").json


@pytest.fixture(scope="module")
def operations(document: Any) -> dict[str, Any]:
    """By operationId."""
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for method, operation in path.items()
        if method != "parameters"
    }


def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"] == "3.1.0"

    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_the_document_has_exactly_the_routes_of_the_url_map(app: Flask, document: Any) -> None:
    documented = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
        if method != "parameters"
    }
    served = {
        (method, path)
        for rule in app.url_map.iter_rules()
        if not rule.endpoint.startswith("not_implemented.")  # the document says what works
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if (path := re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)) not in UNDOCUMENTED
    }

    assert documented == served


def test_operations_declare_at_least_the_errors_of_the_contract(operations: dict[str, Any]) -> None:
    for operation_id, statuses in DECLARED.items():
        assert {str(status) for status in statuses} <= operations[operation_id]["responses"].keys(), (
            operation_id
        )


def test_everything_under_ocpp_needs_the_bearer_token(document: Any) -> None:
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method != "parameters":
                expected: Any = [{"bearer": []}] if path.startswith("/ocpp/") else None
                assert operation.get("security") == expected, path


def test_every_operation_says_what_it_is(operations: dict[str, Any]) -> None:
    for operation_id, operation in operations.items():
        assert operation["summary"], operation_id
        assert len(operation["tags"]) == 1, operation_id


def _validator(document: Any, pointer: str) -> Any:
    resource = DRAFT202012.create_resource(document)
    registry: Registry[Any] = Registry().with_resource("urn:document", resource)
    return OAS31Validator({"$ref": f"urn:document#{pointer}"}, registry=registry)


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def test_every_example_fits_its_schema(document: Any) -> None:
    checked = 0
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            if method == "parameters":
                continue
            base = f"/paths/{_escaped(path)}/{method}"
            for status, response in operation["responses"].items():
                for content_type, media in response.get("content", {}).items():
                    pointer = f"{base}/responses/{status}/content/{_escaped(content_type)}/schema"
                    examples = [example["value"] for example in media.get("examples", {}).values()]
                    if "example" in media:
                        examples.append(media["example"])
                    for example in examples:
                        _validator(document, pointer).validate(example)
                        checked += 1
            media = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            for example in media.get("examples", {}).values():
                pointer = f"{base}/requestBody/content/application~1json/schema"
                _validator(document, pointer).validate(example["value"])
                checked += 1
    assert checked > 20


@pytest.mark.parametrize(
    ("path", "pointer"),
    [
        ("/ocpp/chargers", "ChargerPage"),
        ("/ocpp/chargers/{id}", "ChargerDetail"),
        ("/ocpp/chargers/{id}/status", "ChargerStatus"),
        ("/ocpp/chargers/{id}/commands", "CommandPage"),
        ("/ocpp/chargers/{id}/logs", "LogPage"),
        ("/ocpp/commands", "ActionPage"),
        ("/ocpp/locations", "LocationPage"),
        ("/ocpp/catalog/brands", "BrandPage"),
        ("/ocpp/catalog/brands/abb/models", "ModelPage"),
        ("/health", "Health"),
        ("/ready", "Ready"),
    ],
)
def test_answers_fit_the_document(fleet: Fleet, document: Any, path: str, pointer: str) -> None:
    answer = fleet.get(path.format(id=fleet.ready()))

    assert answer.status_code == 200
    _validator(document, f"/components/schemas/{pointer}").validate(answer.json)


def test_the_answers_about_an_action_fit_the_document(fleet: Fleet, document: Any) -> None:
    connected, stopped = (fleet.ready(identity=f"CP-{number}", location_id="here") for number in range(2))
    connect(fleet.sessions, connected)

    counts = fleet.post("/ocpp/commands/plug-connector?wait=1", json={"target": {"location_id": "here"}})

    assert (counts.json["queued_count"], counts.json["failed"][0]["charger_id"]) == (1, stopped)
    _validator(document, "/components/schemas/LocationCommand").validate(counts.json)
    for action in (counts.json["results"][0]["command"]["id"], counts.json["failed"][0]["command_id"]):
        shown = fleet.get(f"/ocpp/commands/{action}").json
        _validator(document, "/components/schemas/ActionAnswer").validate(shown)


def test_errors_fit_the_document(fleet: Fleet, document: Any) -> None:
    _validator(document, "/components/schemas/ValidationErrors").validate(
        fleet.post("/ocpp/chargers", json={"identity": ""}).json
    )
    _validator(document, "/components/schemas/PlainError").validate(fleet.get("/ocpp/chargers/dep-x").json)


def test_bounds_and_values_are_in_the_document(document: Any) -> None:
    schemas = document["components"]["schemas"]
    identity = schemas["CreateCharger"]["properties"]["identity"]
    limit = next(
        parameter
        for parameter in document["paths"]["/ocpp/chargers"]["get"]["parameters"]
        if parameter.get("name") == "limit"
    )

    assert (identity["minLength"], identity["maxLength"]) == (1, 48)
    assert limit["schema"] == {"type": "integer", "minimum": 1, "maximum": 100, "default": 50}
    assert schemas["ChargerAccepted"]["properties"]["status"]["enum"] == [
        "PENDING",
        "PROVISIONING",
        "READY",
        "FAILED",
    ]
    assert schemas["ChargerAnswer"]["properties"]["name"]["type"] == ["string", "null"]


def test_the_document_says_how_long_a_stream_is_silent_and_lives(operations: dict[str, Any]) -> None:
    description = operations["watch_charger"]["description"]

    assert f"after {SILENCE_S} s of silence" in description
    assert f"after {LIFE_S} s" in description


def test_two_apps_in_one_process_have_the_same_document(app: Flask, document: Any) -> None:
    other = create_app(app.extensions["chargehand"].settings)

    assert other.test_client().get("/openapi.json").json == document
    other.extensions["chargehand"].pools.dispose()


@pytest.mark.parametrize("path", ["/docs", "/"])
def test_the_pages_load_nothing_from_other_hosts(client: FlaskClient, path: str) -> None:
    page = client.get(path)

    assert page.status_code == 200
    assert page.mimetype == "text/html"
    links = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert links
    for link in links:
        assert link.startswith("/")
        assert not link.startswith("//")
        assert client.get(link).status_code == 200, link
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "http" not in policy
    assert "script-src 'unsafe" not in policy
    assert not re.search(r"<script>|<style|style=|onload=", page.text)


def test_the_landing_page_links_to_the_dashboard_the_documentation_the_schema_and_health(
    client: FlaskClient,
) -> None:
    page = client.get("/").text

    for path in ("/dashboard", "/docs", "/openapi.json", "/health"):
        assert f'href="{path}"' in page


def test_the_page_of_the_codes_is_served_for_those_who_see_one(client: FlaskClient) -> None:
    page = client.get("/docs/errors.md")

    assert page.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert all(f"| `{code}` |" in page.text for code in ErrorCode)


@pytest.mark.parametrize(
    "name", ["index.html", "..", "%2e%2e%2fapp.py", "nothing.js", "index.template.html", "LICENSE"]
)
def test_only_the_assets_of_the_page_are_served(client: FlaskClient, name: str) -> None:
    assert client.get(f"/docs/{name}").status_code == 404


def test_the_document_names_no_real_host(app: Flask) -> None:
    """Trying an example body unchanged would make a charger connect to it."""
    text = app.test_client().get("/openapi.json").text

    hosts = {url or word for url, word in HOST.findall(text)}

    assert "127.0.0.1" in hosts
    assert {host for host in hosts if not RESERVED.fullmatch(host)} == set()


def test_every_link_leads_to_an_operation_with_all_of_its_path(
    document: Any, operations: dict[str, Any]
) -> None:
    path_of = {
        operation["operationId"]: path
        for path, methods in document["paths"].items()
        for operation in methods.values()
        if isinstance(operation, dict)
    }
    wrong = []
    linked = set()
    for operation_id, operation in operations.items():
        for answer in operation["responses"].values():
            links = answer.get("links", {})
            schema = answer.get("content", {}).get("application/json", {}).get("schema", {}).get("$ref", "")
            known = document["components"]["schemas"].get(schema.rpartition("/")[2], {}).get("properties", {})
            for link in links.values():
                linked.add(link["operationId"])
                given = {
                    name: expression.removeprefix("$response.body#/") in known
                    or f"{{{expression.removeprefix('$request.path.')}}}" in path_of[operation["operationId"]]
                    for name, expression in link["parameters"].items()
                }
                needed = set(re.findall(r"{(\w+)}", path_of[link["operationId"]]))
                if set(given) != needed or not all(given.values()):
                    wrong.append((operation_id, link))

    assert wrong == []
    assert linked == {link.operation_id for links in LINKS.values() for link in links}
