"""A query parameter that a route does not know is refused by name, and nothing is done."""

from typing import Any
from urllib.parse import quote

import pytest
from flask import Flask
from flask.testing import FlaskClient

from shared.fleet.actions.table import ActionKind, load_kinds
from shared.fleet.jobs.verdict import EVENT_OF
from tests.support.fleet import GROUPS, NEW_CHARGER, NEW_LOCATION, Fleet

FOR_MANY = {f"/ocpp/chargers/{action}" for action in EVENT_OF}
BODIES: dict[str, dict[str, Any]] = {
    "/ocpp/chargers": NEW_CHARGER | {"identity": "CP-NEW"},
    "/ocpp/locations": NEW_LOCATION,
    "/ocpp/locations/somewhere/chargers": {"chargers": [{"charger_id": "dep-1"}]},
}
QUERIES = {("DELETE", "/ocpp/locations/somewhere/chargers"): {"charger_ids": "dep-1"}}
VALUES = {"brand_slug": "abb", "model_slug": "terra-184"}


def extra(*names: str) -> list[dict[str, Any]]:
    """The items of the answer to these unknown parameters."""
    message = "This operation has no such query parameter"
    return [{"loc": ["query", name], "msg": message, "type": "extra_forbidden"} for name in names]


def test_every_route_that_needs_a_token_refuses_it_before_anything_is_done(app: Flask, fleet: Fleet) -> None:
    charger_id = fleet.ready()
    values = VALUES | {"charger_id": charger_id, "command_id": fleet.commands(charger_id)[0].id}
    values |= {"action_id": "1", "job_id": "1", "location_id": "somewhere", "host_id": "host-1"}
    kinds: dict[tuple[str, str], ActionKind] = {
        (kind.method, f"/ocpp/commands/{kind.path}"): kind for kind in load_kinds()
    }
    before = fleet.row(charger_id).generation
    checked = 0
    with app.test_request_context():
        paths = [
            (method, app.url_map.bind("").build(rule.endpoint, values, append_unknown=False))
            for rule in app.url_map.iter_rules()
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
            if rule.rule.startswith("/ocpp/")
            and not rule.endpoint.startswith("not_implemented.")  # those answer 501
        ]

    for method, path in paths:
        body: Any = BODIES.get(path, {})
        query = {"colour": "red"} | QUERIES.get((method, path), {})
        if (kind := kinds.get((method, path))) is not None:
            event = kind.example or {}
            body = {"target": {"charger_id": charger_id}, "event": event}
            query |= {} if method == "POST" else {"charger_id": charger_id, **event}
        if method == "POST" and path.endswith("/chargers") and "/locations/" in path:
            body = GROUPS
        if path in FOR_MANY:
            body = {"charger_ids": [charger_id]}
        answer = fleet.request(
            method, path, query_string=query, json=body if method in ("POST", "PUT") else None
        )
        assert (answer.status_code, answer.json) == (422, {"detail": extra("colour")}), (method, path)
        checked += 1

    assert checked >= 17
    assert fleet.row(charger_id).generation == before
    assert [row["id"] for row in fleet.get("/ocpp/chargers").json["data"]] == [charger_id]
    assert fleet.get("/ocpp/locations").json["total"] == 0


def test_each_unknown_parameter_is_named_once_beside_what_else_is_wrong(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/chargers?limit=0&state=READY&state=FAILED&sorting=identity")

    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json["detail"]] == [
        ["query", "limit"],
        ["query", "state"],
        ["query", "sorting"],
    ]


@pytest.mark.parametrize(
    "name", ["_schema", "Limit", "limit ", "limit[]", "", "\x00", "é", "organization_id"]
)
def test_no_name_slips_through(fleet: Fleet, name: str) -> None:
    for path in ("/ocpp/chargers", "/ocpp/catalog/brands", f"/ocpp/chargers/{fleet.ready()}"):
        answer = fleet.get(f"{path}?{quote(name)}=1")

        assert (answer.status_code, answer.json) == (422, {"detail": extra(name)}), path
        fleet.delete(path)


def test_the_token_is_checked_before_the_query(client: FlaskClient) -> None:
    assert client.get("/ocpp/chargers?colour=red").status_code == 401


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics", "/", "/docs", "/openapi.json"])
def test_probes_and_browsers_may_add_parameters_that_bypass_a_cache(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}?_=1764230000").status_code == 200
