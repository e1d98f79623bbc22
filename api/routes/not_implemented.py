"""The routes of the Gateway API that Chargehand does not implement yet. Each answers 501.

To implement one, delete its row here and change its state in docs/compatibility.md; a test compares both with the SDK.
The OpenAPI document does not show these routes.
"""

from functools import partial
from typing import NamedTuple, NoReturn

from flask import Blueprint

from api.http.auth import authenticate_tenant
from api.http.document.operations import limit_rate
from api.http.errors import NotAvailable

PAGE = "/docs/compatibility.md"  # served by this API


class Operation(NamedTuple):
    method: str
    path: str  #: a Flask rule
    name: str


LOCATION = "/ocpp/locations/<location_id>"
CPO = "/ocpi/cpos/<cpo_id>"

NOT_IMPLEMENTED = (
    Operation("GET", "/ocpi/templates/cpos", "List CPO templates"),
    Operation("GET", "/ocpi/cpos", "List CPOs"),
    Operation("POST", "/ocpi/cpos", "Create CPO"),
    Operation("GET", f"{CPO}/status", "Get CPO status"),
    Operation("GET", CPO, "Get CPO"),
    Operation("DELETE", CPO, "Delete CPO"),
    Operation("GET", f"{CPO}/report", "Get CPO report"),
    Operation("GET", f"{CPO}/locations", "List OCPI locations"),
    Operation("POST", f"{CPO}/locations", "Create OCPI locations"),
    Operation("GET", f"{CPO}/locations/jobs/<job_id>", "Get OCPI locations job"),
    Operation("GET", f"{CPO}/locations/<location_id>", "Get OCPI location"),
    Operation("PATCH", f"{CPO}/locations/<location_id>", "Update OCPI location"),
    Operation("DELETE", f"{CPO}/locations/<location_id>", "Delete OCPI location"),
)


def make_blueprint() -> Blueprint:
    """The blueprint with these routes. As everywhere, a token and an organization are checked first."""
    blueprint = Blueprint("not_implemented", __name__)
    blueprint.before_request(authenticate_tenant)
    blueprint.before_request(limit_rate)
    for operation in NOT_IMPLEMENTED:
        blueprint.add_url_rule(
            operation.path,
            endpoint=operation.name.lower().replace(" ", "_"),
            view_func=partial(_refuse, operation),
            methods=[operation.method],
        )
    return blueprint


def _refuse(operation: Operation, **_: str) -> NoReturn:
    raise NotAvailable(f"{operation.name} is not available in Chargehand yet: {PAGE} lists what is")
