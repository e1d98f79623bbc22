"""Bodies that clients should not send, and the answers that they get; none of them is stored."""

import json
from typing import Any

import pytest

from tests.api.http.refusals import JSON, assert_items, assert_plain
from tests.support.fleet import NEW_CHARGER, Fleet

pytestmark = pytest.mark.usefixtures("nothing_written")


ACTIONS = ["start-charger", "stop-charger", "reset-charger", "restart-charger"]


def _field(name: str, value: Any) -> bytes:
    return json.dumps(NEW_CHARGER | {name: value}).encode()


def _raw_field(name: str, literal: bytes) -> bytes:
    return json.dumps(NEW_CHARGER | {name: "HERE"}).encode().replace(b'"HERE"', literal)


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
        json.dumps(NEW_CHARGER).encode("utf-16"),
        json.dumps(NEW_CHARGER).encode("utf-8-sig"),
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
def test_a_body_that_is_not_json_is_refused(fleet: Fleet, body: bytes) -> None:
    assert_items(fleet.post("/ocpp/chargers", data=body, content_type=JSON), (["body", 0], "json_invalid"))


def test_of_a_key_given_twice_the_last_counts(fleet: Fleet) -> None:
    body = _raw_field("identity", b'"first", "identity": "last"')

    answer = fleet.post("/ocpp/chargers", data=body, content_type=JSON)

    assert (answer.status_code, answer.json["identity"]) == (202, "last")


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"', b"5", b"[{}]"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_body_that_is_not_an_object_is_refused(fleet: Fleet, method: str, body: bytes) -> None:
    path = "/ocpp/chargers" if method == "POST" else f"/ocpp/chargers/{fleet.create()}"

    assert_items(fleet.request(method, path, data=body, content_type=JSON), (["body"], "dict_type"))


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_missing_body_is_refused(fleet: Fleet, method: str) -> None:
    path = "/ocpp/chargers" if method == "POST" else f"/ocpp/chargers/{fleet.create()}"

    assert_items(fleet.request(method, path, content_type=JSON), (["body"], "missing"))
    assert_items(fleet.request(method, path), (["body"], "missing"))


def test_each_missing_field_is_reported(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", json={})

    required = ["identity", "brand_slug", "model_slug", "connector_type", "ws_url"]
    assert_items(answer, *((["body", name], "missing") for name in required))


@pytest.mark.parametrize(
    "name", [*NEW_CHARGER, "ocpp_version", "charge_point_name", "location_id", "location_name"]
)
@pytest.mark.parametrize("value", [5, 1.5, True, [], {}, ["x"]], ids=repr)
def test_no_other_type_is_converted_to_text(fleet: Fleet, name: str, value: object) -> None:
    answer = fleet.post("/ocpp/chargers", data=_field(name, value), content_type=JSON)

    assert_items(answer, (["body", name], "string_type"))


def test_an_integer_of_5000_digits_is_no_text_either(fleet: Fleet) -> None:
    answer = fleet.post("/ocpp/chargers", data=_raw_field("identity", b"9" * 5000), content_type=JSON)

    assert answer.status_code == 422


@pytest.mark.parametrize("name", NEW_CHARGER)
def test_null_is_no_value_for_a_required_field(fleet: Fleet, name: str) -> None:
    assert_items(
        fleet.post("/ocpp/chargers", json=NEW_CHARGER | {name: None}), (["body", name], "string_type")
    )


@pytest.mark.parametrize(
    ("identity", "type_"),
    [
        ("", "string_too_short"),
        ("x" * 49, "string_too_long"),
        (" a", "string_pattern_mismatch"),
        ("a ", "string_pattern_mismatch"),
        (" ", "string_pattern_mismatch"),
        ("a\N{NO-BREAK SPACE}b", "string_pattern_mismatch"),
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
def test_an_invalid_identity_is_refused(fleet: Fleet, identity: str, type_: str) -> None:
    assert_items(
        fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"identity": identity}), (["body", "identity"], type_)
    )


@pytest.mark.parametrize(
    "name", ["brand_slug", "connector_type", "charge_point_name", "location_id", "location_name"]
)
@pytest.mark.parametrize("control", ["\x00", "\n", "\x1b[31m", "\x7f", "\x9b"], ids=ascii)
def test_control_characters_are_refused_in_every_text(fleet: Fleet, name: str, control: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {name: f"a{control}b"})

    assert_items(answer, (["body", name], "value_error"))


@pytest.mark.parametrize(
    ("name", "length"),
    [("brand_slug", 100), ("connector_type", 32), ("charge_point_name", 255), ("location_id", 128)],
)
def test_every_text_has_a_longest_length(fleet: Fleet, name: str, length: int) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {name: "x" * (length + 1)})

    assert_items(answer, (["body", name], "string_too_long"))
    assert answer.json["detail"][0]["ctx"] == {"max_length": length}


@pytest.mark.parametrize("version", ["2.0", "OCPP2.0", "1.6", "", "OCPP1.6J"])
def test_an_unknown_ocpp_version_is_refused(fleet: Fleet, version: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"ocpp_version": version})

    assert_items(answer, (["body", "ocpp_version"], "literal_error"))
    assert answer.json["detail"][0]["msg"] == "Input should be 'OCPP1.6' or 'OCPP2.0.1'"


@pytest.mark.parametrize(
    "url", ["http://csms.test/", "ws://", "ws://u:p@csms.test/", "ws://169.254.170.2/v2"]
)
def test_a_websocket_url_that_must_not_be_is_refused_without_repeating_it(fleet: Fleet, url: str) -> None:
    answer = fleet.post("/ocpp/chargers", json=NEW_CHARGER | {"ws_url": url})

    assert_items(answer, (["body", "ws_url"], "value_error"))
    assert url not in answer.text


def test_all_errors_are_reported_at_once(fleet: Fleet) -> None:
    answer = fleet.post(
        "/ocpp/chargers", json=NEW_CHARGER | {"identity": "", "ws_url": "x", "ocpp_version": 7}
    )

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
def test_the_content_of_a_lifecycle_body_is_ignored(fleet: Fleet, body: dict[str, Any]) -> None:
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
    body = {"data": json.dumps(NEW_CHARGER).encode(), "content_type": content_type}

    assert_plain(fleet.post("/ocpp/chargers", **body), 415)
    assert_plain(fleet.put(f"/ocpp/chargers/{charger_id}", **body), 415)
    assert_plain(fleet.post(f"/ocpp/chargers/{charger_id}/stop-charger", **body), 415)


def test_a_compressed_body_is_refused(fleet: Fleet) -> None:
    answer = fleet.post(
        "/ocpp/chargers", data=b"\x1f\x8b", content_type=JSON, headers={"Content-Encoding": "gzip"}
    )

    assert_plain(answer, 415)


def test_a_body_above_64_kib_is_refused(fleet: Fleet) -> None:
    body = json.dumps(NEW_CHARGER | {"padding": "x" * 70_000}).encode()

    assert_plain(fleet.post("/ocpp/chargers", data=body, content_type=JSON), 413)
