"""Calls each route for a charger of acme, and the routes by who may call them."""

import json
from typing import Any

import pytest

from tests.api.http.route_table import ROUTES, Route
from tests.support.fleet import GROUPS, Fleet

TENANT = [route for route in ROUTES if route.scope == "tenant"]
BOUND = [route for route in ROUTES if route.binds]
GUARDED = [route for route in ROUTES if route.scope != "public"]

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
every_guarded_route = pytest.mark.parametrize("route", GUARDED, ids=str)
every_tenant_route = pytest.mark.parametrize("route", TENANT, ids=str)
every_bound_route = pytest.mark.parametrize("route", BOUND, ids=str)


class AcmeCalls:
    """Calls a route for acme's charger, which could take any command, with exactly the given headers."""

    def __init__(self, fleet: Fleet) -> None:
        self._client = fleet.client
        self.charger_id = charger_id = fleet.ready("acme")
        self._command_id = fleet.commands(charger_id)[0].id
        plugged = fleet.post("/ocpp/commands/plug-connector", json={"target": {"charger_id": charger_id}})
        self._action_id = plugged.json["failed"][0]["command_id"]
        self._job_id = fleet.post("/ocpp/chargers/start", json={"charger_ids": [charger_id]}).json["job_id"]
        self._location_id = fleet.locate("acme")
        creation = fleet.post(f"/ocpp/locations/{self._location_id}/chargers", json=GROUPS)
        self._creation_id = creation.json["job_id"]
        fleet.ready("acme", identity="CP-AT-LOCATION", location_id=self._location_id)
        self._host_id = fleet.host("acme")

    def __call__(self, route: Route, headers: dict[str, str] | None = None, charger_id: str = "") -> Any:
        """Werkzeug's TestResponse. Of acme's charger unless another one is named."""
        charger_id = charger_id or self.charger_id
        path = (
            route.rule.replace("<charger_id:charger_id>", charger_id)
            .replace("<uuid:command_id>", str(self._command_id))
            .replace("<action_id:action_id>", self._action_id)
            .replace("chargers/jobs/<job_id:job_id>", f"chargers/jobs/{self._creation_id}")
            .replace("<job_id:job_id>", self._job_id)
            .replace("<location_id:location_id>", self._location_id)
            .replace("<host_id:host_id>", self._host_id)
            .replace("<slug:brand_slug>", "abb")
            .replace("<slug:model_slug>", "terra-184")
            .replace("<name>", "docs.js")
            .replace("<", "")  # of what is missing: any id will do
            .replace(">", "")
        )
        body = route.body and json.loads(
            json.dumps(route.body).replace("<charger_id:charger_id>", charger_id)
        )
        query = {} if route.query is None else {"charger_id": charger_id, **route.query}
        if "charger_ids" in query:
            del query["charger_id"]
        answer = self._client.open(
            path, method=route.method, json=body, query_string=query, headers=headers or {}
        )
        if answer.mimetype == "text/event-stream":
            answer.close()
        return answer
