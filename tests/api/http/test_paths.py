"""Paths, methods and headers that clients should not send, and the answers that they get."""

import re

import pytest

from tests.api.http.refusals import assert_plain
from tests.support.fleet import NEW_CHARGER, Fleet

pytestmark = pytest.mark.usefixtures("nothing_written")


@pytest.mark.parametrize(
    "charger_id",
    ["dep-unknown", "%00", "..%2f..", "a%2fb", "x" * 300, "%ff", "dep-1%0a", "dep 1", "dep-1;x", "..", "é"],
)
def test_an_invalid_id_is_not_found(fleet: Fleet, charger_id: str) -> None:
    for path in (f"/ocpp/chargers/{charger_id}", f"/ocpp/chargers/{charger_id}/status"):
        assert_plain(fleet.get(path), 404)
    assert_plain(fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger"), 404)


def test_an_id_in_another_case_is_another_id(fleet: Fleet) -> None:
    assert_plain(fleet.get(f"/ocpp/chargers/{fleet.create().upper()}"), 404)


@pytest.mark.parametrize(
    "path",
    [
        "/ocpp/chargers/",
        "//ocpp/chargers",
        "/ocpp//chargers",
        "/chargers",
        "/catalog/brands",
        "/health/",
        "/ocpp",
        "/OCPP/chargers",
        "/static/index.html",
    ],
)
def test_only_the_exact_paths_are_served_and_nothing_redirects(fleet: Fleet, path: str) -> None:
    assert_plain(fleet.get(path), 404)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/ocpp/chargers", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("TRACE", "/ocpp/chargers", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("FOO", "/ocpp/chargers", {"GET", "HEAD", "OPTIONS", "POST"}),
        ("GET", "/ocpp/chargers/dep-1/stop-charger", {"OPTIONS", "POST"}),
        ("PATCH", "/ocpp/chargers/dep-1", {"DELETE", "GET", "HEAD", "OPTIONS", "PUT"}),
        ("POST", "/health", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_a_wrong_method_is_answered_with_the_right_ones(
    fleet: Fleet, method: str, path: str, allowed: set[str]
) -> None:
    answer = fleet.request(method, path)

    assert_plain(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_head_is_get_without_a_body_and_options_lists_the_methods(fleet: Fleet) -> None:
    path = f"/ocpp/chargers/{fleet.create()}"

    head, options = fleet.request("HEAD", path), fleet.client.options(path)

    assert (head.status_code, head.data) == (200, b"")
    assert options.status_code == 200
    assert "PUT" in options.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in options.headers


def test_links_do_not_contain_the_host_that_a_client_claims(fleet: Fleet) -> None:
    answer = fleet.post(
        "/ocpp/chargers", json=NEW_CHARGER, headers={"Host": "evil.test", "X-Forwarded-Host": "evil.test"}
    )

    assert answer.headers["Location"].startswith("/ocpp/chargers/")
    assert "evil" not in answer.text


@pytest.mark.parametrize("request_id", ["a b", "x" * 129, "é", ""])
def test_a_request_id_that_could_not_be_logged_is_replaced(fleet: Fleet, request_id: str) -> None:
    answer = fleet.get("/ocpp/chargers", headers={"X-Request-Id": request_id})

    assert re.fullmatch("[0-9a-f]{32}", answer.headers["X-Request-Id"])


def test_a_clients_request_id_comes_back_also_with_an_error(fleet: Fleet) -> None:
    answer = fleet.get("/ocpp/chargers/dep-unknown", headers={"X-Request-Id": "trace:42"})

    assert (answer.status_code, answer.headers["X-Request-Id"]) == (404, "trace:42")
