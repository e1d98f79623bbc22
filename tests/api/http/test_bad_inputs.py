"""What clients should not send, and the answer that they get; nothing is written by any of it."""

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import pytest
from sqlalchemy import func, select

from shared.models import Charger, Command
from tests.api.conftest import WISH, Fleet

ACTIONS = ["start-charger", "stop-charger", "reset-charger", "restart-charger"]
JSON = "application/json"


def _field(name: str, value: Any) -> bytes:
    return json.dumps(WISH | {name: value}).encode()


def _raw_field(name: str, literal: bytes) -> bytes:
    return json.dumps(WISH | {name: "HERE"}).encode().replace(b'"HERE"', literal)


@pytest.fixture(autouse=True)
def nothing_written(fleet: Fleet) -> Any:
    """Refused is refused: no row is left of any of it, unless a test says so by making a charger."""
    yield
    with fleet.sessions() as session:
        chargers = session.scalar(select(func.count()).select_from(Charger))
        commands = session.scalar(select(func.count()).select_from(Command))
    assert commands == chargers


def assert_items(answer: Any, *expected: tuple[Sequence[str | int], str]) -> None:
    """422 with these items, each as the contract has it."""
    assert answer.status_code == 422, answer.text
    assert answer.mimetype == JSON
    assert [(item["loc"], item["type"]) for item in answer.json["detail"]] == list(expected)
    for item in answer.json["detail"]:
        assert item.keys() <= {"loc", "msg", "type", "ctx"}
        assert isinstance(item["msg"], str)
        assert item["msg"]


def assert_plain(answer: Any, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.mimetype == JSON
    assert isinstance(answer.json["detail"], str)
    assert answer.json["detail"]


@pytest.mark.parametrize(
    "body",
    [
        b"{bad",
        b"{} {}",
        b"[" * 20_000,
        b'{"a":' * 10_000,
        _raw_field("identity", b"NaN"),
        _raw_field("identity", b"-Infinity"),
        _raw_field("identity", b"1e400"),
        _raw_field("identity", rb'"\ud800"'),
        _raw_field("identity", b'"\xff"'),
        json.dumps(WISH).encode("utf-16"),
        json.dumps(WISH).encode("utf-8-sig"),
        b"   ",
    ],
    ids=[
        "broken",
        "two documents",
        "arrays nested 20,000 deep",
        "objects nested 10,000 deep",
        "NaN",
        "minus infinity",
        "1e400",
        "lone surrogate",
        "invalid UTF-8",
        "UTF-16",
        "byte order mark",
        "blanks",
    ],
)
def test_a_body_that_is_not_json_is_told_so(fleet: Fleet, body: bytes) -> None:
    assert_items(fleet.post("/ocpp/chargers", data=body, content_type=JSON), (["body", 0], "json_invalid"))


def test_of_a_key_given_twice_the_last_counts(fleet: Fleet) -> None:
    body = _raw_field("identity", b'"first", "identity": "last"')

    answer = fleet.post("/ocpp/chargers", data=body, content_type=JSON)

    assert (answer.status_code, answer.json["identity"]) == (202, "last")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"5", b"[{}]"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_not_an_object_is_told_so(fleet: Fleet, method: str, body: bytes) -> None:
    path = "/ocpp/chargers" if method == "POST" else f"/ocpp/chargers/{fleet.create()}"

    assert_items(fleet.request(method, path, data=body, content_type=JSON), (["body"], "dict_type"))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_missing_body_is_told_so(fleet: Fleet, method: str) -> None:
    path = "/ocpp/chargers" if method == "POST" else f"/ocpp/chargers/{fleet.create()}"

    assert_items(fleet.request(method, path, content_type=JSON), (["body"], "missing"))
    assert_items(fleet.request(method, path), (["body"], "missing"))


def test_each_missing_field_is_told(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", json={})

    required = ["identity", "brand_slug", "model_slug", "connector_type", "ws_url"]
    assert_items(answer, *((["body", name], "missing") for name in required))


@pytest.mark.parametrize("name", [*WISH, "ocpp_version", "charge_point_name", "location_id", "location_name"])
@pytest.mark.parametrize("value", [5, 1.5, True, [], {}, ["x"]], ids=repr)
def test_nothing_is_turned_into_text(fleet: Fleet, name: str, value: object) -> None:
    answer = fleet.post("/ocpp/chargers", data=_field(name, value), content_type=JSON)

    assert_items(answer, (["body", name], "string_type"))


def test_an_integer_of_5000_digits_is_no_text_either(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", data=_raw_field("identity", b"9" * 5000), content_type=JSON)

    assert answer.status_code == 422


@pytest.mark.parametrize("name", WISH)
def test_null_is_no_value_for_a_required_field(fleet: Fleet, name: str) -> None:
    assert_items(fleet.post("/ocpp/chargers", json=WISH | {name: None}), (["body", name], "string_type"))


@pytest.mark.parametrize(
    ("identity", "type_"),
    [
        ("", "string_too_short"),
        ("x" * 49, "string_too_long"),
        ("a b", "string_pattern_mismatch"),
        ("a/b", "string_pattern_mismatch"),
        ("a%2Fb", "string_pattern_mismatch"),
        ("a\n", "value_error"),
        ("a\x00", "value_error"),
        ("..", "string_pattern_mismatch"),
        (".", "string_pattern_mismatch"),
        ("\N{ELECTRIC PLUG}", "string_pattern_mismatch"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}", "string_pattern_mismatch"),
        ("<script>", "string_pattern_mismatch"),
    ],
)
def test_an_identity_that_no_csms_would_take_is_refused(fleet: Fleet, identity: str, type_: str) -> None:
    assert_items(
        fleet.post("/ocpp/chargers", json=WISH | {"identity": identity}), (["body", "identity"], type_)
    )


@pytest.mark.parametrize(
    "name", ["brand_slug", "connector_type", "charge_point_name", "location_id", "location_name"]
)
@pytest.mark.parametrize("control", ["\x00", "\n", "\x1b[31m", "\x7f", "\x9b"], ids=ascii)
def test_control_characters_are_refused_in_every_text(fleet: Fleet, name: str, control: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=WISH | {name: f"a{control}b"})

    assert_items(answer, (["body", name], "value_error"))


@pytest.mark.parametrize(
    ("name", "length"),
    [("brand_slug", 100), ("connector_type", 32), ("charge_point_name", 255), ("location_id", 128)],
)
def test_every_text_has_a_longest_length(fleet: Fleet, name: str, length: int) -> None:
    answer = fleet.post("/ocpp/chargers", json=WISH | {name: "x" * (length + 1)})

    assert_items(answer, (["body", name], "string_too_long"))
    assert answer.json["detail"][0]["ctx"] == {"max_length": length}


@pytest.mark.parametrize("version", ["2.0", "OCPP2.0", "1.6", "", "OCPP1.6J"])
def test_an_unknown_ocpp_version_is_refused(fleet: Fleet, version: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=WISH | {"ocpp_version": version})

    assert_items(answer, (["body", "ocpp_version"], "literal_error"))
    assert answer.json["detail"][0]["msg"] == "Input should be 'OCPP1.6' or 'OCPP2.0.1'"


@pytest.mark.parametrize(
    "url", ["http://csms.test/", "ws://", "ws://u:p@csms.test/", "ws://169.254.170.2/v2"]
)
def test_a_websocket_url_that_must_not_be_is_refused_without_repeating_it(fleet: Fleet, url: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=WISH | {"ws_url": url})

    assert_items(answer, (["body", "ws_url"], "value_error"))
    assert url not in answer.text


def test_all_that_is_wrong_is_told_at_once(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", json=WISH | {"identity": "", "ws_url": "x", "ocpp_version": 7})

    assert sorted(item["loc"][1] for item in answer.json["detail"]) == ["identity", "ocpp_version", "ws_url"]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("body", [b"[]", b'"x"', b"5", b"null"])
def test_a_lifecycle_body_is_an_object_if_it_is_anything(fleet: Fleet, action: str, body: bytes) -> None:
    answer = fleet.post(f"/ocpp/chargers/{fleet.ready()}/{action}", data=body, content_type=JSON)

    assert_items(answer, (["body"], "dict_type"))


@pytest.mark.parametrize("action", ACTIONS)
def test_a_broken_lifecycle_body_does_nothing(fleet: Fleet, action: str) -> None:
    answer = fleet.post(f"/ocpp/chargers/{fleet.ready()}/{action}", data=b"{bad", content_type=JSON)

    assert_items(answer, (["body", 0], "json_invalid"))


@pytest.mark.parametrize(
    "body",
    [
        {"content_type": JSON},
        {},
        {"json": {}},
        {"json": {"key": "value"}},
        {"json": {"desired_count": 9, "charger_id": "dep-other"}},
        {"data": b"{}", "content_type": "application/json; charset=UTF-8"},
    ],
    ids=["empty with a type", "none", "{}", "any object", "misleading", "with a charset"],
)
def test_what_clients_send_on_a_lifecycle_call_is_ignored(fleet: Fleet, body: dict[str, Any]) -> None:
    charger_id = fleet.create()

    answer = fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger", **body)

    # Got as far as the charger's state: it is not provisioned.
    assert_items(answer, (["path", "charger_id"], "value_error"))


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "",
        "application/json; charset=latin-1",
        "application/merge-patch+json",
    ],
)
def test_a_body_of_another_type_is_refused(fleet: Fleet, content_type: str) -> None:
    charger_id = fleet.create()
    body = {"data": json.dumps(WISH).encode(), "content_type": content_type}

    assert_plain(fleet.post("/ocpp/chargers", **body), 415)
    assert_plain(fleet.put(f"/ocpp/chargers/{charger_id}", **body), 415)
    assert_plain(fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger", **body), 415)


def test_a_compressed_body_is_refused(fleet: Fleet) -> None:
    answer = fleet.post(
        "/ocpp/chargers", data=b"\x1f\x8b", content_type=JSON, headers={"Content-Encoding": "gzip"}
    )

    assert_plain(answer, 415)


def test_a_body_above_64_kib_is_refused(fleet: Fleet) -> None:
    body = json.dumps(WISH | {"padding": "x" * 70_000}).encode()

    assert_plain(fleet.post("/ocpp/chargers", data=body, content_type=JSON), 413)


@pytest.mark.parametrize(
    "charger_id",
    ["dep-unknown", "%00", "..%2f..", "a%2fb", "x" * 300, "%ff", "dep-1%0a", "dep 1", "dep-1;x", "..", "é"],
)
def test_an_id_that_cannot_be_is_not_found(fleet: Fleet, charger_id: str) -> None:
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
def test_a_wrong_method_is_told_the_right_ones(
    fleet: Fleet, method: str, path: str, allowed: set[str]
) -> None:
    answer = fleet.request(method, path)

    assert_plain(answer, 405)
    assert set(answer.headers["Allow"].split(", ")) == allowed


def test_head_is_get_without_a_body_and_options_tells_the_methods(fleet: Fleet) -> None:
    path = f"/ocpp/chargers/{fleet.create()}"

    head, options = fleet.request("HEAD", path), fleet.client.options(path)

    assert (head.status_code, head.data) == (200, b"")
    assert options.status_code == 200
    assert "PUT" in options.headers["Allow"]
    assert "Access-Control-Allow-Origin" not in options.headers


PAGES = ["/ocpp/chargers", "/ocpp/catalog/brands", "/ocpp/catalog/brands/abb/models", "{charger}/commands"]


@pytest.mark.parametrize("path", [*PAGES, "{charger}/logs"])
@pytest.mark.parametrize(
    ("limit", "type_"),
    [
        ("0", "greater_than_equal"),
        ("-1", "greater_than_equal"),
        ("1001", "less_than_equal"),
        ("abc", "int_parsing"),
        ("1.5", "int_parsing"),
        ("", "int_parsing"),
        ("1_000", "int_parsing"),
        ("+5", "int_parsing"),
        (" 5", "int_parsing"),
        ("\N{FULLWIDTH DIGIT FIVE}", "int_parsing"),
        ("5\n", "int_parsing"),
        ("9" * 20, "int_parsing"),
    ],
)
def test_a_limit_that_is_none_is_refused(fleet: Fleet, path: str, limit: str, type_: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    assert_items(fleet.get(f"{path}?limit={quote(limit)}"), (["query", "limit"], type_))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_at_most_100_rows(fleet: Fleet, path: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    answer = fleet.get(f"{path}?limit=101")

    assert_items(answer, (["query", "limit"], "less_than_equal"))
    assert answer.json["detail"][0]["ctx"] == {"le": 100}
    assert fleet.get(f"{path}?limit=100").status_code == 200


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("page", "type_"), [("0", "greater_than_equal"), ("x", "int_parsing")])
def test_a_page_that_is_none_is_refused(fleet: Fleet, path: str, page: str, type_: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    assert_items(fleet.get(f"{path}?page={page}"), (["query", "page"], type_))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_far_beyond_the_end_is_empty(fleet: Fleet, path: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    answer = fleet.get(f"{path}?page=999999999&limit=100")

    assert (answer.status_code, answer.json["data"]) == (200, [])
    assert answer.json["total"] >= 1


def test_an_offset_that_no_database_counts_to_is_refused(fleet: Fleet) -> None:
    path = f"/ocpp/chargers/{fleet.create()}/logs"

    assert_items(fleet.get(f"{path}?offset=99999999999999999999"), (["query", "offset"], "int_parsing"))
    assert_items(fleet.get(f"{path}?offset=-1"), (["query", "offset"], "greater_than_equal"))
    assert fleet.get(f"{path}?offset=999999999").status_code == 200


def test_a_parameter_given_twice_is_refused(fleet: Fleet) -> None:
    assert_items(fleet.get("/ocpp/chargers?limit=1&limit=2"), (["query", "limit"], "value_error"))


@pytest.mark.parametrize(
    "instant",
    [
        "yesterday",
        "",
        "2026-04-09",
        "2026-04-09T00:00:00",
        "2026-04-09 00:00:00Z",
        "0000-01-01T00:00:00Z",
        "99999-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-04-09T25:00:00Z",
        "0001-01-01T00:00:00+14:00",
        "2026-04-09T00:00:00+99:00",
        "\N{FULLWIDTH DIGIT TWO}026-04-09T00:00:00Z",
        "1775692800",
        "2026-W15-4T00:00:00Z",
    ],
)
def test_a_date_that_is_no_instant_is_refused(fleet: Fleet, instant: str) -> None:
    path = f"/ocpp/chargers/{fleet.create()}/logs"

    for bound in ("start_date", "end_date"):
        answer = fleet.get(path, query_string={bound: instant})

        assert_items(answer, (["query", bound], "datetime_parsing"))


@pytest.mark.parametrize(
    ("event", "type_"),
    [
        ("x" * 10_240, "string_too_long"),
        ("", "string_too_short"),
        ("a\x00", "value_error"),
        ("a\nb", "value_error"),
    ],
    ids=["10 KB", "empty", "NUL", "newline"],
)
def test_an_event_that_no_action_is_called_is_refused(fleet: Fleet, event: str, type_: str) -> None:
    path = f"/ocpp/chargers/{fleet.create()}/logs"

    assert_items(fleet.get(path, query_string={"event": event}), (["query", "event"], type_))


@pytest.mark.parametrize("location_id", ["%00", "%0a", "x" * 129, ""])
def test_a_location_that_cannot_be_is_refused(fleet: Fleet, location_id: str) -> None:
    assert fleet.get(f"/ocpp/chargers?location_id={location_id}").status_code == 422


def test_what_a_client_claims_about_the_host_is_not_in_our_links(fleet: Fleet) -> None:
    answer = fleet.post(
        "/ocpp/chargers", json=WISH, headers={"Host": "evil.test", "X-Forwarded-Host": "evil.test"}
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
