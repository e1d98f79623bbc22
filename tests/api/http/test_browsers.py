"""What pages in a browser need: permission for their origin on every answer, and small bodies."""

import gzip
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask, Response, abort
from flask.testing import FlaskClient

from api.app import create_app
from api.http.browsers import MIN_BYTES
from api.resources import Resources
from shared.database.engine import Sessions
from shared.settings import Settings, SettingsError
from shared.startup.environment import load_settings
from tests.api.conftest import client_of, closed_port
from tests.support.environment import Token
from tests.support.fleet import Fleet

PAGE = "https://pages.example.com"
IPV6 = "http://[::1]:3000"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture
def shared(settings: Settings) -> Iterator[Flask]:
    """An app that two origins may call."""
    app = create_app(replace(settings, cors_origins=(PAGE, IPV6), database_pool_size=2, rate_limit=""))

    def fails() -> Response:
        raise RuntimeError("a defect")

    app.add_url_rule("/ocpp/defect", "defect", fails)
    app.add_url_rule("/ocpp/busy", "busy", lambda: abort(503))
    yield app
    resources: Resources = app.extensions["chargehand"]
    resources.publisher.close()
    resources.pools.dispose()


@pytest.fixture
def fleet_of_page(shared: Flask, sessions: Sessions, token: Token) -> Fleet:
    return Fleet(shared.test_client(), sessions, token)


def from_page(fleet: Fleet, path: str, origin: str = PAGE, method: str = "GET", **kwargs: Any) -> Any:
    headers = {"Origin": origin} | kwargs.pop("headers", {})
    return fleet.request(method, path, headers=headers, **kwargs)


@pytest.mark.parametrize("origin", [PAGE, IPV6])
def test_a_page_of_an_allowed_origin_may_read_answers_and_their_headers(
    fleet_of_page: Fleet, origin: str
) -> None:
    answer = from_page(fleet_of_page, "/ocpp/chargers", origin)

    assert (answer.status_code, answer.headers[ALLOWED]) == (200, origin)
    assert "Origin" in answer.headers["Vary"]
    exposed = answer.headers["Access-Control-Expose-Headers"]
    assert {"X-Request-Id", "Retry-After", "Location", "Idempotent-Replayed", "Wait-Skipped"} <= set(
        exposed.split(", ")
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers


ERRORS = {
    401: ("/ocpp/chargers", {"Authorization": "Bearer x"}),
    404: ("/ocpp/chargers/dep-nobody", {}),
    422: ("/ocpp/chargers?status=x", {}),
    403: ("/ocpp/organizations", {}),
    405: ("/ocpp/me", {}),
    500: ("/ocpp/defect", {}),
    501: ("/ocpi/cpos", {}),
    503: ("/ocpp/busy", {}),
}


@pytest.mark.parametrize("status", ERRORS)
def test_a_page_may_read_every_error(fleet_of_page: Fleet, status: int) -> None:
    path, headers = ERRORS[status]

    answer = from_page(fleet_of_page, path, method="DELETE" if status == 405 else "GET", headers=headers)

    assert (answer.status_code, answer.headers[ALLOWED]) == (status, PAGE)


def test_a_page_may_read_that_it_sends_too_much(settings: Settings, sessions: Sessions, token: Token) -> None:
    redis = f"{settings.redis_url.rpartition('/')[0]}/9"
    for client in client_of(replace(settings, cors_origins=(PAGE,), rate_limit="1/hour", redis_url=redis)):
        fleet = Fleet(client, sessions, token)
        answers = [from_page(fleet, "/ocpp/chargers", organization="page-429") for _ in range(2)]

        assert (answers[-1].status_code, answers[-1].headers[ALLOWED]) == (429, PAGE)


def test_a_page_may_read_that_the_database_is_away(settings: Settings, token: Token) -> None:
    url = settings.database_url.rpartition("@")[0] + f"@127.0.0.1:{closed_port()}/nowhere"
    for client in client_of(replace(settings, cors_origins=(PAGE,), database_url=url)):
        headers = {"Origin": PAGE, "Authorization": f"Bearer {token()}"}
        answer = client.get("/ocpp/chargers", headers=headers)

        assert (answer.status_code, answer.headers[ALLOWED]) == (503, PAGE)


def test_a_preflight_needs_no_token_on_any_route(shared: Flask) -> None:
    requested = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,idempotency-key",
    }
    client = shared.test_client()
    paths = [
        re.sub("<charger_id:.*?>", "dep-1", re.sub("<uuid:.*?>", str(uuid4()), rule.rule))
        for rule in shared.url_map.iter_rules()
        if rule.rule.startswith("/ocpp/chargers")
    ]

    assert "/ocpp/chargers/dep-1/events" in paths
    for path in paths:
        answer = client.options(path, headers={"Origin": PAGE, **requested})
        assert (answer.status_code, answer.headers[ALLOWED]) == (200, PAGE), path
        assert "POST" in answer.headers["Access-Control-Allow-Methods"]
        assert answer.headers["Access-Control-Allow-Headers"].lower() == "authorization, idempotency-key"
        assert answer.headers["Access-Control-Max-Age"] == "3600"


@pytest.mark.parametrize(
    "origin", ["https://evil.test", PAGE + ".evil.test", "http://pages.example.com", PAGE + ":444", "null"]
)
def test_a_page_of_another_origin_gets_no_permission(fleet_of_page: Fleet, origin: str) -> None:
    answer = from_page(fleet_of_page, "/ocpp/chargers", origin)

    assert ALLOWED not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_a_stream_may_be_read_by_a_page(fleet_of_page: Fleet) -> None:
    charger_id = fleet_of_page.create()

    answer = from_page(fleet_of_page, f"/ocpp/chargers/{charger_id}/events", buffered=False)

    assert (answer.status_code, answer.headers[ALLOWED]) == (200, PAGE)
    assert next(answer.response).startswith(b"retry")
    answer.close()


def test_without_a_page_an_answer_names_no_origin(fleet_of_page: Fleet) -> None:
    answer = fleet_of_page.get("/ocpp/chargers")

    assert ALLOWED not in answer.headers
    assert "Origin" in answer.headers["Vary"]


def test_no_origin_is_allowed_unless_it_is_set(fleet: Fleet) -> None:
    for method in ("GET", "OPTIONS"):
        answer = from_page(fleet, "/ocpp/chargers", method=method)
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control-")]


def test_our_own_pages_are_not_for_others(fleet_of_page: Fleet) -> None:
    for path in ("/", "/docs", "/dashboard", "/metrics"):
        assert ALLOWED not in from_page(fleet_of_page, path).headers, path


@pytest.mark.parametrize(
    "given",
    [
        "*",
        "https://*.example.com",
        "https://a.test/",
        "https://a.test/path",
        "https://a.test?x",
        "a.test",
        "ws://a.test",
        "null",
        "https://user@a.test",
        "https://a.test:0",
        "https://a.test:x",
        "https://",
        "https://a.test https://b.test",
        "https://größe.test",
    ],
)
def test_origins_that_no_browser_sends_are_refused_at_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    monkeypatch.setenv("CORS_ORIGINS", f"https://fine.test,{given}")

    with pytest.raises(SettingsError, match="CORS_ORIGINS"):
        load_settings()


@pytest.mark.usefixtures("settings")
def test_origins_are_read_in_the_form_that_browsers_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "CORS_ORIGINS",
        " https://Pages.example.com:443 , http://localhost:3000,http://[::1]:80,http://localhost:3000",
    )

    assert load_settings().cors_origins == (PAGE, "http://localhost:3000", "http://[::1]")


@pytest.mark.parametrize(
    "url",
    [
        "flower.test",
        "ftp://flower.test",
        "https://u:p@flower.test",
        "https://",
        "https://a.test/ b",
        "javascript:1",
    ],
)
def test_an_address_of_flower_that_is_no_page_is_refused(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setenv("FLOWER_URL", url)

    with pytest.raises(SettingsError, match="FLOWER_URL"):
        load_settings()


@pytest.mark.usefixtures("settings")
def test_the_address_of_flower_is_kept_without_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLOWER_URL", "https://ops.example.com/flower/")

    assert load_settings().flower_url == "https://ops.example.com/flower"


ZIPPED = {"Accept-Encoding": "gzip, deflate, br"}


def list_of(fleet: Fleet, chargers: int) -> None:
    fleet.multiply(fleet.ready(), chargers)


def test_a_long_answer_is_compressed_for_who_accepts_it(fleet: Fleet) -> None:
    list_of(fleet, 20)

    plain = fleet.get("/ocpp/chargers?sort=identity")
    zipped = fleet.get("/ocpp/chargers?sort=identity", headers=ZIPPED)

    assert "Content-Encoding" not in plain.headers
    assert zipped.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in zipped.headers["Vary"]
    assert "Accept-Encoding" in plain.headers["Vary"]
    assert int(zipped.headers["Content-Length"]) == len(zipped.data) < len(plain.data) / 5
    ids = [row["id"] for row in plain.json["data"]]
    assert all(charger_id.encode() in gzip.decompress(zipped.data) for charger_id in ids)


def test_the_answer_to_head_has_the_headers_of_get(fleet: Fleet) -> None:
    list_of(fleet, 20)

    got = fleet.get("/ocpp/chargers", headers=ZIPPED)
    head = fleet.request("HEAD", "/ocpp/chargers", headers=ZIPPED)

    assert head.data == b""
    assert head.headers["Content-Encoding"] == "gzip"
    assert abs(int(head.headers["Content-Length"]) - len(got.data)) < 100  # rows have their age in them


@pytest.mark.parametrize("given", ["identity", "gzip;q=0", "br;q=1.0, gzip;q=0.0", "*;q=0", "br", ""])
def test_an_encoding_that_the_client_does_not_accept_is_not_used(fleet: Fleet, given: str) -> None:
    list_of(fleet, 20)

    answer = fleet.get("/ocpp/chargers", headers={"Accept-Encoding": given})

    assert "Content-Encoding" not in answer.headers
    assert len(answer.json["data"]) == 21


def test_a_short_answer_and_an_error_stay_plain(fleet: Fleet) -> None:
    short = fleet.get("/ocpp/me", headers=ZIPPED)
    error = fleet.post("/ocpp/chargers", json={"x" * 2 * MIN_BYTES: 1}, headers=ZIPPED)

    assert len(error.data) > MIN_BYTES

    assert len(short.data) < MIN_BYTES
    assert "Content-Encoding" not in short.headers
    assert (error.status_code, "Content-Encoding" in error.headers) == (422, False)


def test_a_stream_is_never_compressed(fleet: Fleet) -> None:
    charger_id = fleet.create()

    answer = fleet.get(f"/ocpp/chargers/{charger_id}/events", headers=ZIPPED, buffered=False)

    assert "Content-Encoding" not in answer.headers
    assert next(answer.response).startswith(b"retry")
    answer.close()


def test_the_openapi_document_is_the_same_in_both_forms(client: FlaskClient) -> None:
    plain = client.get("/openapi.json")
    zipped = client.get("/openapi.json", headers=ZIPPED)

    assert gzip.decompress(zipped.data) == plain.data
    assert zipped.headers["Content-Encoding"] == "gzip"
