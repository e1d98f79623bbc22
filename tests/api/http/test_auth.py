"""Which caller may call which route, for every route of the URL map.

A route that is missing in the table of route_table.py fails a test, so each new one states who may call it.
"""

import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask

from tests.api.http.route_table import ROUTES, Route
from tests.support.environment import JWT_SECRET
from tests.support.fleet import GROUPS, Fleet

NOW = int(time.time())


TENANT = [route for route in ROUTES if route.scope == "tenant"]
BOUND = [route for route in ROUTES if route.binds]
GUARDED = [route for route in ROUTES if route.scope != "public"]

every_route = pytest.mark.parametrize("route", ROUTES, ids=str)
every_guarded_route = pytest.mark.parametrize("route", GUARDED, ids=str)
every_tenant_route = pytest.mark.parametrize("route", TENANT, ids=str)
every_bound_route = pytest.mark.parametrize("route", BOUND, ids=str)


@pytest.fixture
def charger_id(fleet: Fleet) -> str:
    """A charger of acme that could take any command."""
    return fleet.ready("acme")


@pytest.fixture
def call(fleet: Fleet, charger_id: str) -> Callable[..., Any]:
    """Calls the route for acme's charger, with exactly these headers."""
    command_id = fleet.commands(charger_id)[0].id
    plugged = fleet.post(
        "/ocpp/commands/plug-connector",
        organization=fleet.row(charger_id).organization_id,
        json={"target": {"charger_id": charger_id}},
    )
    action_id = plugged.json["failed"][0]["command_id"]
    job = fleet.post(
        "/ocpp/chargers/start",
        organization=fleet.row(charger_id).organization_id,
        json={"charger_ids": [charger_id]},
    )
    job_id = job.json["job_id"]
    location_id = fleet.locate("acme")
    creation = fleet.post(f"/ocpp/locations/{location_id}/chargers", json=GROUPS).json["job_id"]
    fleet.ready("acme", identity="CP-AT-LOCATION", location_id=location_id)
    host_id = fleet.host("acme")

    def call(route: Route, headers: dict[str, str] | None = None, charger_id: str = charger_id) -> Any:
        path = (
            route.rule.replace("<charger_id:charger_id>", charger_id)
            .replace("<uuid:command_id>", str(command_id))
            .replace("<action_id:action_id>", action_id)
            .replace("chargers/jobs/<job_id:job_id>", f"chargers/jobs/{creation}")
            .replace("<job_id:job_id>", job_id)
            .replace("<location_id:location_id>", location_id)
            .replace("<host_id:host_id>", host_id)
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
        answer = fleet.client.open(
            path, method=route.method, json=body, query_string=query, headers=headers or {}
        )
        if answer.mimetype == "text/event-stream":
            answer.close()
        return answer

    return call


def test_every_route_of_the_url_map_is_listed(app: Flask) -> None:
    served = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }

    assert served == {(route.method, route.rule) for route in ROUTES}


@every_route
def test_the_owner_gets_an_answer(route: Route, call: Callable[..., Any], fleet: Fleet) -> None:
    assert call(route, fleet.headers("acme")).status_code == route.status


@every_tenant_route
def test_an_admin_acts_for_the_organization_that_the_header_names(
    route: Route, call: Callable[..., Any], fleet: Fleet
) -> None:
    answer = call(route, fleet.headers(role="admin") | {"X-Organization-Id": "acme"})

    assert answer.status_code == route.status


@every_bound_route
def test_another_organization_finds_no_charger_and_changes_nothing(
    route: Route, call: Callable[..., Any], fleet: Fleet, charger_id: str
) -> None:
    before = vars(fleet.row(charger_id))
    foreigner = fleet.headers("globex")

    answer = call(route, foreigner)
    unknown = call(route, foreigner, charger_id="dep-unknown")

    assert answer.status_code == unknown.status_code == route.not_found
    # Byte for byte what an unknown id gets.
    assert answer.data == unknown.data.replace(b"dep-unknown", charger_id.encode())
    changed = {name for name, value in vars(fleet.row(charger_id)).items() if before[name] != value}
    assert changed <= {"_sa_instance_state", "unobserved_for", "in_state_for"}  # which the clock changes
    assert len(fleet.commands(charger_id)) == 1


@every_bound_route
def test_an_admin_for_another_organization_finds_no_charger(
    route: Route, call: Callable[..., Any], fleet: Fleet
) -> None:
    headers = fleet.headers(role="admin") | {"X-Organization-Id": "globex"}

    assert call(route, headers).status_code == route.not_found


def _signed(claims: dict[str, Any], key: Any = JWT_SECRET, **kwargs: Any) -> str:
    good = {"sub": "eve", "role": "user", "organization_id": "acme", "exp": NOW + 3600, "iat": NOW}
    return jwt.encode(good | claims, key, **kwargs)


_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
_RSA_PUBLIC = _RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def _tampered() -> str:
    header, _, signature = _signed({}).split(".")
    claims = jwt.utils.base64url_encode(
        json.dumps({"sub": "eve", "role": "admin", "exp": NOW + 3600}).encode()
    )
    return f"{header}.{claims.decode()}.{signature}"


def _confused() -> str:
    """HS256 with an RSA public key as the secret: what a verifier accepts that believes the token's header."""
    unsigned = jwt.encode({"sub": "eve", "role": "user", "exp": NOW + 3600}, JWT_SECRET).rpartition(".")[0]
    hmac = jwt.get_algorithm_by_name("HS256")
    signature = hmac.sign(unsigned.encode(), _RSA_PUBLIC.encode())
    return f"{unsigned}.{jwt.utils.base64url_encode(signature).decode()}"


REFUSED = {
    "expired": _bearer(_signed({"exp": NOW - 60, "iat": NOW - 3600})),
    "foreign-signed": _bearer(_signed({}, "another-key-that-is-as-long-as-it-should-be")),
    "alg none": _bearer(_signed({}, None, algorithm="none")),
    "HS/RS-confused": _bearer(_confused()),
    "RS256 where HS256 is configured": _bearer(_signed({}, _RSA, algorithm="RS256")),
    "tampered": _bearer(_tampered()),
    "not a token": _bearer("x"),
}
MISSING = {
    "no header": {},
    "empty": {"Authorization": ""},
    "no token": {"Authorization": "Bearer"},
    "blank token": {"Authorization": "Bearer "},
    "two tokens": {"Authorization": f"Bearer {_signed({})} {_signed({})}"},
    "two headers, joined": {"Authorization": f"Bearer {_signed({})},Bearer {_signed({})}"},
    "another scheme": {"Authorization": "Basic dGVzdDp0ZXN0"},
    "not ASCII": {"Authorization": "Bearer ü"},
}


def test_the_token_that_the_refused_ones_are_made_from_is_good(call: Callable[..., Any]) -> None:
    assert call(TENANT[0], _bearer(_signed({}))).status_code == 200


@every_guarded_route
def test_a_token_that_proves_nothing_is_refused(route: Route, call: Callable[..., Any]) -> None:
    for name, headers in REFUSED.items():
        answer = call(route, headers)

        assert answer.status_code == 401, name
        # One text for every cause: which it was is nobody's business but the log's.
        assert answer.json == {"detail": "The token is not valid"}, name
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="chargehand", error="invalid_token"'


@every_guarded_route
def test_without_a_token_there_is_no_answer(route: Route, call: Callable[..., Any]) -> None:
    for name, headers in MISSING.items():
        answer = call(route, headers)

        assert answer.status_code == 401, name
        assert answer.json == {"detail": "A bearer token is required"}, name
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="chargehand"')


def test_a_missing_token_is_no_error_of_the_token(call: Callable[..., Any]) -> None:
    """RFC 6750, 3.1."""
    assert call(TENANT[0]).headers["WWW-Authenticate"] == 'Bearer realm="chargehand"'


def assert_forbidden(answer: Any) -> None:
    assert answer.status_code == 403
    assert isinstance(answer.json["detail"], str)


@every_guarded_route
def test_a_user_does_not_choose_the_organization(
    route: Route, call: Callable[..., Any], fleet: Fleet
) -> None:
    for named in ("acme", "globex", ""):
        assert_forbidden(call(route, fleet.headers("acme") | {"X-Organization-Id": named}))


@every_guarded_route
def test_an_unknown_role_may_do_nothing(route: Route, call: Callable[..., Any]) -> None:
    assert_forbidden(call(route, _bearer(_signed({"role": "auditor"}))))


@every_guarded_route
def test_an_admin_names_one_organization(route: Route, call: Callable[..., Any], fleet: Fleet) -> None:
    for named in ("", "a b", "acme,globex", "x" * 129, "x" * 8000, "ünder", "a;b"):
        assert_forbidden(call(route, fleet.headers(role="admin") | {"X-Organization-Id": named}))


@every_tenant_route
def test_an_admin_must_name_an_organization(route: Route, call: Callable[..., Any], fleet: Fleet) -> None:
    assert_forbidden(call(route, fleet.headers(role="admin")))


@every_tenant_route
def test_a_user_without_an_organization_sees_no_tenant(route: Route, call: Callable[..., Any]) -> None:
    assert_forbidden(call(route, _bearer(_signed({"organization_id": None}))))


def test_an_admin_without_an_organization_may_see_all_of_them_and_a_user_may_not(
    call: Callable[..., Any], fleet: Fleet
) -> None:
    for route in ROUTES:
        if route.scope == "scope":
            assert call(route, fleet.headers(role="admin")).status_code == route.status
            assert_forbidden(call(route, _bearer(_signed({"organization_id": None}))))


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
