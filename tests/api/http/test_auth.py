"""Which caller may call which route, for every route of the URL map. See test_refused_callers.py for who may not.

A route that is missing in the table of route_table.py fails a test, so each new one states who may call it.
"""

from typing import Any

import pytest
from flask import Flask

from tests.api.http.every_route import AcmeCalls, every_route, every_tenant_route
from tests.api.http.route_table import ROUTES, Route
from tests.support.fleet import Fleet


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    """A charger of acme that could take any command."""
    return fleet.ready("acme")


@pytest.fixture
def call(fleet: Fleet) -> AcmeCalls:
    return AcmeCalls(fleet)


def test_every_route_of_the_url_map_is_listed(app: Flask) -> None:
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert served == {(route.method, route.rule) for route in ROUTES}


@every_route
def test_the_owner_gets_an_answer(route: Route, call: AcmeCalls, fleet: Fleet) -> None:
    assert call(route, fleet.headers("acme")).status_code == route.status


@every_tenant_route
def test_an_admin_acts_for_the_organization_that_the_header_names(
    route: Route, call: AcmeCalls, fleet: Fleet
) -> None:
    answer = call(route, fleet.headers(role="admin") | {"X-Organization-Id": "acme"})

    assert answer.status_code == route.status


def test_an_admin_without_an_organization_may_see_all_of_them(call: AcmeCalls, fleet: Fleet) -> None:
    for route in ROUTES:
        if route.scope == "scope":
            assert call(route, fleet.headers(role="admin")).status_code == route.status


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_the_caller_is_judged_before_what_was_sent(fleet: Fleet, charger_id: str, method: str) -> None:
    path = "/ocpp/chargers" if method == "POST" else f"/ocpp/chargers/{charger_id}"
    broken: dict[str, Any] = {"data": b"{bad", "content_type": "application/json"}

    anonymous = fleet.client.open(path, method=method, **broken)
    homeless = fleet.client.open(path, method=method, headers=fleet.headers(role="admin"), **broken)
    owner = fleet.request(method, path, **broken)

    assert [answer.status_code for answer in (anonymous, homeless, owner)] == [401, 403, 422]


def test_what_was_sent_is_judged_before_what_it_is_about(fleet: Fleet) -> None:
    answer = fleet.put("/ocpp/chargers/dep-unknown", json={"ocpp_version": "9"})

    assert answer.status_code == 422


def test_metrics_name_no_organization_and_no_charger(fleet: Fleet, charger_id: str) -> None:
    fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger")

    metrics = fleet.client.get("/metrics").text

    assert "/ocpp/chargers/<charger_id:charger_id>/stop-charger" in metrics
    assert "acme" not in metrics
    assert charger_id not in metrics
