"""Who sends a request, for whom, and what that organization may use."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from flask.testing import FlaskClient

from api.app import create_app
from shared.settings import Settings
from tests.support.environment import Token
from tests.support.fleet import Fleet


def me(client: FlaskClient, token: str, **headers: str) -> Any:
    """The answer, as werkzeug's TestResponse, untyped."""
    return client.get("/ocpp/me", headers={"Authorization": f"Bearer {token}", **headers})


def test_a_user_sees_its_organization_and_when_its_token_ends(fleet: Fleet, token: Token) -> None:
    answer = me(fleet.client, token(subject="ada", ttl_s=600))

    assert answer.status_code == 200
    found = answer.json
    assert (found["subject"], found["role"], found["organization_id"]) == ("ada", "user", "acme")
    expires_at, now = map(datetime.fromisoformat, (found["expires_at"], found["server_time"]))
    assert abs(expires_at - datetime.now(UTC) - timedelta(minutes=10)) < timedelta(seconds=20)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=20)
    assert found["stale_after_s"] == 180
    assert found["flower_url"] is None
    assert found["csms_url"] is None
    assert found["version"] == fleet.get("/health").json["version"]


def test_the_quotas_show_what_the_organization_has_and_may_have(fleet: Fleet, token: Token) -> None:
    fleet.create("initech", identity="CP-1")
    fleet.finish(fleet.create("initech", identity="CP-2"))
    fleet.create("other", identity="CP-1")

    assert me(fleet.client, token(organization="initech")).json["quotas"] == {
        "chargers": {"used": 2, "allowed": 50_000},
        "open_commands": {"used": 1, "allowed": 50_000},
        "open_actions": {"used": 0, "allowed": 50_000},
    }


def test_an_admin_needs_no_organization_and_may_name_one(fleet: Fleet, token: Token) -> None:
    fleet.create("acme", identity="CP-1")
    admin = token(role="admin")

    alone = me(fleet.client, admin).json
    for_acme = me(fleet.client, admin, **{"X-Organization-Id": "acme"}).json

    assert (alone["role"], alone["organization_id"], alone["quotas"]) == ("admin", None, None)
    assert (for_acme["role"], for_acme["organization_id"]) == ("admin", "acme")
    assert for_acme["quotas"]["chargers"]["used"] == 1


def test_a_user_without_an_organization_has_no_quotas(fleet: Fleet, token: Token) -> None:
    answer = me(fleet.client, token(organization=None))

    assert (answer.status_code, answer.json["organization_id"], answer.json["quotas"]) == (200, None, None)


def test_a_token_that_is_not_valid_learns_nothing(fleet: Fleet, token: Token) -> None:
    assert fleet.client.get("/ocpp/me").status_code == 401
    assert me(fleet.client, "x.y.z").status_code == 401
    assert me(fleet.client, token(ttl_s=-60)).status_code == 401
    assert me(fleet.client, token(), **{"X-Organization-Id": "other"}).status_code == 403
    assert fleet.get("/ocpp/me?wait=1").status_code == 422


def test_a_token_that_is_valid_almost_for_ever_is_shown_with_a_time(settings: Settings, token: Token) -> None:
    app = create_app(replace(settings, tokens=replace(settings.tokens, max_age_s=0)))
    try:
        answer = me(app.test_client(), token(ttl_s=10**15))
    finally:
        app.extensions["chargehand"].pools.dispose()

    assert (answer.status_code, answer.json["expires_at"]) == (200, "9999-12-31T23:59:59Z")


def test_the_csms_of_the_settings_is_proposed(settings: Settings, token: Token) -> None:
    app = create_app(replace(settings, csms_url="ws://127.0.0.1:9000/ocpp"))
    try:
        answer = me(app.test_client(), token())
    finally:
        app.extensions["chargehand"].pools.dispose()

    assert answer.json["csms_url"] == "ws://127.0.0.1:9000/ocpp"


def organizations(fleet: Fleet, token: str, query: str = "") -> Any:
    return fleet.client.get(f"/ocpp/organizations{query}", headers={"Authorization": f"Bearer {token}"})


def test_an_admin_lists_the_organizations_that_have_chargers(fleet: Fleet, token: Token) -> None:
    fleet.create("globex", identity="CP-1")
    fleet.create("acme", identity="CP-1")
    fleet.create("acme", identity="CP-2")

    found = organizations(fleet, token(role="admin")).json
    some = organizations(fleet, token(role="admin"), "?q=GLO").json
    second = organizations(fleet, token(role="admin"), "?limit=1&page=2").json

    acme, globex = ({"organization_id": "acme", "chargers": 2}, {"organization_id": "globex", "chargers": 1})
    assert found == {"data": [acme, globex], "total": 2, "page": 1, "limit": 1000}
    assert (some["data"], some["total"]) == ([globex], 1)
    assert (second["data"], second["total"]) == ([globex], 2)


def test_a_user_may_not_list_organizations(fleet: Fleet, token: Token) -> None:
    fleet.create("globex", identity="CP-1")

    answer = organizations(fleet, token())

    assert answer.status_code == 403
    assert answer.json == {"detail": "Only an admin's token may do this"}
