"""Queries that clients should not send, and the answers that they get."""

from urllib.parse import quote

import pytest

from tests.api.http.refusals import assert_items
from tests.support.fleet import Fleet

pytestmark = pytest.mark.usefixtures("nothing_written")


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
def test_an_invalid_limit_is_refused(fleet: Fleet, path: str, limit: str, type_: str) -> None:
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
def test_an_invalid_page_is_refused(fleet: Fleet, path: str, page: str, type_: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    assert_items(fleet.get(f"{path}?page={page}"), (["query", "page"], type_))


@pytest.mark.parametrize("path", PAGES)
def test_a_page_far_beyond_the_end_is_empty(fleet: Fleet, path: str) -> None:
    path = path.format(charger=f"/ocpp/chargers/{fleet.create()}")

    answer = fleet.get(f"{path}?page=999999999&limit=100")

    assert (answer.status_code, answer.json["data"]) == (200, [])
    assert answer.json["total"] >= 1


def test_an_offset_beyond_the_largest_integer_is_refused(fleet: Fleet) -> None:
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
def test_a_date_that_is_not_rfc_3339_is_refused(fleet: Fleet, instant: str) -> None:
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
def test_an_invalid_event_is_refused(fleet: Fleet, event: str, type_: str) -> None:
    path = f"/ocpp/chargers/{fleet.create()}/logs"

    assert_items(fleet.get(path, query_string={"event": event}), (["query", "event"], type_))


@pytest.mark.parametrize("location_id", ["%00", "%0a", "x" * 129, ""])
def test_an_invalid_location_is_refused(fleet: Fleet, location_id: str) -> None:
    assert fleet.get(f"/ocpp/chargers?location_id={location_id}").status_code == 422
