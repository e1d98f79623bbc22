"""Which caller may not call which route, for every route of the URL map, and that such a call changes nothing.

All tests share one fleet.
"""

import json
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from sqlalchemy import Engine

from api.resources import Resources
from shared.database.engine import Sessions
from shared.models import Base
from tests.api.http.every_route import (
    TENANT,
    AcmeCalls,
    every_bound_route,
    every_guarded_route,
    every_tenant_route,
)
from tests.api.http.route_table import ROUTES, Route
from tests.conftest import PRESERVED_TABLES, delete_rows
from tests.support.environment import JWT_SECRET, tokens_of
from tests.support.fleet import Fleet

NOW = int(time.time())


@pytest.fixture(scope="module")
def fleet(app: Flask, engine: Engine) -> Iterator[Fleet]:
    """Instead of the one that is empty for each test."""
    resources: Resources = app.extensions["chargehand"]
    yield Fleet(app.test_client(), Sessions(engine), tokens_of(resources.settings.tokens))
    delete_rows(engine)


@pytest.fixture(scope="module")
def call(fleet: Fleet) -> AcmeCalls:
    return AcmeCalls(fleet)


@pytest.fixture(autouse=True)
def nothing_is_written(engine: Engine, call: AcmeCalls) -> Iterator[None]:
    """Whoever is refused leaves every row as it is."""
    before = _rows(engine)
    yield
    assert _rows(engine) == before


def _rows(engine: Engine) -> list[Any]:
    """By table, a digest of all its rows."""
    each = (
        f"SELECT '{table.name}', md5(string_agg(row::text, ' ' ORDER BY row::text)) FROM {table.name} row"  # noqa: S608
        for table in Base.metadata.sorted_tables
        if table.name not in PRESERVED_TABLES
    )
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(f"{' UNION ALL '.join(each)} ORDER BY 1"))


@every_bound_route
def test_another_organization_finds_no_charger_and_changes_nothing(
    route: Route, call: AcmeCalls, fleet: Fleet
) -> None:
    foreigner = fleet.headers("globex")

    answer = call(route, foreigner)
    unknown = call(route, foreigner, charger_id="dep-unknown")

    assert answer.status_code == unknown.status_code == route.not_found
    # Byte for byte what an unknown id gets.
    assert answer.data == unknown.data.replace(b"dep-unknown", call.charger_id.encode())


@every_bound_route
def test_an_admin_for_another_organization_finds_no_charger(
    route: Route, call: AcmeCalls, fleet: Fleet
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


def test_the_token_that_the_refused_ones_are_made_from_is_good(call: AcmeCalls) -> None:
    assert call(TENANT[0], _bearer(_signed({}))).status_code == 200


@every_guarded_route
def test_a_token_that_proves_nothing_is_refused(route: Route, call: AcmeCalls) -> None:
    for name, headers in REFUSED.items():
        answer = call(route, headers)

        assert answer.status_code == 401, name
        # One text for every cause: which it was is nobody's business but the log's.
        assert answer.json == {"detail": "The token is not valid"}, name
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="chargehand", error="invalid_token"'


@every_guarded_route
def test_without_a_token_there_is_no_answer(route: Route, call: AcmeCalls) -> None:
    for name, headers in MISSING.items():
        answer = call(route, headers)

        assert answer.status_code == 401, name
        assert answer.json == {"detail": "A bearer token is required"}, name
        assert answer.headers["WWW-Authenticate"].startswith('Bearer realm="chargehand"')


def test_a_missing_token_is_no_error_of_the_token(call: AcmeCalls) -> None:
    """RFC 6750, 3.1."""
    assert call(TENANT[0]).headers["WWW-Authenticate"] == 'Bearer realm="chargehand"'


def assert_forbidden(answer: Any) -> None:
    assert answer.status_code == 403
    assert isinstance(answer.json["detail"], str)


@every_guarded_route
def test_a_user_does_not_choose_the_organization(route: Route, call: AcmeCalls, fleet: Fleet) -> None:
    for named in ("acme", "globex", ""):
        assert_forbidden(call(route, fleet.headers("acme") | {"X-Organization-Id": named}))


@every_guarded_route
def test_an_unknown_role_may_do_nothing(route: Route, call: AcmeCalls) -> None:
    assert_forbidden(call(route, _bearer(_signed({"role": "auditor"}))))


@every_guarded_route
def test_an_admin_names_one_organization(route: Route, call: AcmeCalls, fleet: Fleet) -> None:
    for named in ("", "a b", "acme,globex", "x" * 129, "x" * 8000, "ünder", "a;b"):
        assert_forbidden(call(route, fleet.headers(role="admin") | {"X-Organization-Id": named}))


@every_tenant_route
def test_an_admin_must_name_an_organization(route: Route, call: AcmeCalls, fleet: Fleet) -> None:
    assert_forbidden(call(route, fleet.headers(role="admin")))


@every_tenant_route
def test_a_user_without_an_organization_sees_no_tenant(route: Route, call: AcmeCalls) -> None:
    assert_forbidden(call(route, _bearer(_signed({"organization_id": None}))))


def test_a_user_without_an_organization_does_not_see_all_of_them(call: AcmeCalls) -> None:
    for route in ROUTES:
        if route.scope == "scope":
            assert_forbidden(call(route, _bearer(_signed({"organization_id": None}))))
