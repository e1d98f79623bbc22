"""Every route of the URL map, and who may call it."""

from dataclasses import dataclass
from typing import Any

from api.routes import not_implemented
from shared.fleet.actions.table import ActionKind, load_kinds
from tests.support.fleet import GROUPS, NEW_CHARGER, NEW_LOCATION


@dataclass(frozen=True)
class Route:
    """An operation, and its status for a caller with access."""

    method: str
    rule: str
    status: int
    scope: str  #: public, token (any good one), tenant or scope (an organization, or an admin for all)
    body: Any = None
    query: dict[str, Any] | None = (
        None  #: beside its charger, which is in the query then, unless `charger_ids` are
    )
    binds: bool = False  #: names a charger, which another tenant must not find
    not_found: int = 404  #: its status then

    def __str__(self) -> str:
        return f"{self.method} {self.rule}"


CHARGER = "/ocpp/chargers/<charger_id:charger_id>"
JOB = "/ocpp/jobs/<job_id:job_id>"
HOST = "/ocpp/hosts/<host_id:host_id>"
LOCATION = "/ocpp/locations/<location_id:location_id>"
MANY = {"charger_ids": ["<charger_id:charger_id>"]}
BRANDS = "/ocpp/catalog/brands"


def _of_action(kind: ActionKind) -> Route:
    """The charger is not connected: a failed item, or an error where its result is the answer."""
    status = 202 if kind.answer == "queued" else 422
    if kind.method != "POST":
        query = dict(kind.example or {})
        return Route(kind.method, f"/ocpp/commands/{kind.path}", status, "tenant", query=query, binds=True)
    body = {"target": {"charger_id": "<charger_id:charger_id>"}, "event": kind.example or {}}
    return Route("POST", f"/ocpp/commands/{kind.path}", status, "tenant", body=body, binds=True)


ROUTES = [
    Route("GET", "/ocpp/chargers", 200, "tenant"),
    Route("POST", "/ocpp/chargers", 202, "tenant", body=NEW_CHARGER | {"identity": "CP-NEW"}),
    Route("GET", "/ocpp/chargers/summary", 200, "tenant"),
    Route("POST", "/ocpp/chargers/start", 202, "tenant", body=MANY, binds=True, not_found=422),
    Route("POST", "/ocpp/chargers/stop", 202, "tenant", body=MANY, binds=True, not_found=422),
    Route("POST", "/ocpp/chargers/restart", 202, "tenant", body=MANY, binds=True, not_found=422),
    Route("POST", "/ocpp/chargers/delete", 202, "tenant", body=MANY, binds=True, not_found=422),
    Route("GET", CHARGER, 200, "tenant", binds=True),
    Route("PUT", CHARGER, 200, "tenant", body={"name": "changed", "ws_url": "ws://evil.test"}, binds=True),
    Route("DELETE", CHARGER, 204, "tenant", binds=True),
    Route("GET", f"{CHARGER}/status", 200, "tenant", binds=True),
    Route("POST", f"{CHARGER}/start-charger", 202, "tenant", body={}, binds=True),
    Route("POST", f"{CHARGER}/stop-charger", 202, "tenant", body={}, binds=True),
    Route("POST", f"{CHARGER}/reset-charger", 202, "tenant", body={}, binds=True),
    Route("POST", f"{CHARGER}/restart-charger", 202, "tenant", body={}, binds=True),
    Route("GET", f"{CHARGER}/logs", 200, "tenant", binds=True),
    Route("GET", f"{CHARGER}/commands", 200, "tenant", binds=True),
    Route("GET", f"{CHARGER}/commands/<uuid:command_id>", 200, "tenant", binds=True),
    Route("GET", f"{CHARGER}/events", 200, "tenant", binds=True),
    *map(_of_action, load_kinds()),
    Route("GET", "/ocpp/commands", 200, "tenant"),
    Route("GET", "/ocpp/commands/<action_id:action_id>", 200, "tenant", binds=True),
    Route("GET", "/ocpp/jobs", 200, "tenant"),
    Route("GET", JOB, 200, "tenant", binds=True),
    Route("GET", f"{JOB}/items", 200, "tenant", binds=True),
    Route("GET", f"{JOB}/events", 200, "tenant", binds=True),
    Route("GET", f"{JOB}/report", 200, "tenant", binds=True),
    Route("POST", f"{JOB}/pause", 200, "tenant", body={}, binds=True),
    Route("POST", f"{JOB}/resume", 200, "tenant", body={}, binds=True),
    Route("POST", f"{JOB}/cancel", 200, "tenant", body={}, binds=True),
    Route("POST", f"{JOB}/retry", 422, "tenant", body={}, binds=True),  # none has failed
    Route("GET", "/ocpp/locations", 200, "tenant"),
    Route("POST", "/ocpp/locations", 201, "tenant", body=NEW_LOCATION),
    Route("GET", LOCATION, 200, "tenant", binds=True),
    Route("PUT", LOCATION, 200, "tenant", body={"name": "changed"}, binds=True),
    Route("DELETE", LOCATION, 204, "tenant", binds=True),
    Route("POST", f"{LOCATION}/chargers", 202, "tenant", body=GROUPS, binds=True),
    Route("GET", f"{LOCATION}/chargers/jobs/<job_id:job_id>", 200, "tenant", binds=True),
    Route("GET", f"{LOCATION}/chargers", 200, "tenant", binds=True),
    Route(
        "PUT", f"{LOCATION}/chargers", 200, "tenant", body={"chargers": [{"charger_id": "dep-1"}]}, binds=True
    ),
    Route("DELETE", f"{LOCATION}/chargers", 200, "tenant", query={"charger_ids": "dep-1"}, binds=True),
    Route("POST", f"{LOCATION}/start-chargers", 202, "tenant", body={}, binds=True),
    Route("POST", f"{LOCATION}/stop-chargers", 202, "tenant", body={}, binds=True),
    Route("POST", f"{LOCATION}/wait", 200, "tenant", body={}, binds=True),
    Route("POST", f"{LOCATION}/reset-chargers", 202, "tenant", body={}, binds=True),
    Route("GET", f"{LOCATION}/report", 200, "tenant", binds=True),
    Route("GET", "/ocpp/events", 200, "tenant", query={}, binds=True),
    Route("GET", "/ocpp/changes", 200, "tenant"),
    Route("GET", "/ocpp/hosts", 200, "scope"),
    Route("GET", HOST, 200, "scope", binds=True),
    Route("POST", f"{HOST}/drain", 200, "scope", body={}, binds=True),
    Route("GET", "/ocpp/operations", 200, "scope"),
    Route("GET", "/ocpp/me", 200, "token"),
    Route("GET", "/ocpp/organizations", 403, "token"),  # for admins only
    Route("GET", BRANDS, 200, "token"),
    Route("GET", f"{BRANDS}/<slug:brand_slug>/models", 200, "token"),
    Route("GET", "/ocpp/templates/locations", 200, "token"),
    Route("GET", f"{BRANDS}/<slug:brand_slug>/models/<slug:model_slug>", 200, "token"),
    Route("GET", "/", 200, "public"),
    Route("GET", "/health", 200, "public"),
    Route("GET", "/ready", 200, "public"),
    Route("GET", "/metrics", 200, "public"),
    Route("GET", "/openapi.json", 200, "public"),
    Route("GET", "/docs", 200, "public"),
    Route("GET", "/docs/<name>", 200, "public"),
    Route("GET", "/dashboard", 200, "public"),
    Route("GET", "/dashboard/", 200, "public"),
    Route("GET", "/dashboard/<path:path>", 200, "public"),
    Route("GET", "/dashboard/assets/<version>/<path:path>", 404, "public"),  # for every hash but its own
    *(
        Route(operation.method, operation.path, 501, "tenant")
        for operation in not_implemented.NOT_IMPLEMENTED
    ),
]
