"""Pages by cursor: no charger twice, none left out, and no cursor of another list."""

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import text

from api.http.cursors import InvalidCursor, read_cursor, serializer_of, write_cursor
from shared.fleet.listing import Sort, SortKey
from tests.support.fleet import Fleet

SORTS = ["created_at", "-created_at", "identity", "-identity", "state_since", "-state_since"]
FILTERS: list[dict[str, str]] = [
    {},
    {"ocpp_version": "OCPP1.6"},
    {"q": "cp"},
    {"location_id": "here"},
    {"status": "PENDING,READY", "q": "1"},
]

every_sort = pytest.mark.parametrize("sort", SORTS)


def page(fleet: Fleet, **query: Any) -> Any:
    answer = fleet.get(f"/ocpp/chargers?{urlencode(query)}")
    assert answer.status_code == 200, answer.text
    return answer.json


def refused(fleet: Fleet, organization: str = "acme", **query: Any) -> None:
    answer = fleet.get(f"/ocpp/chargers?{urlencode(query)}", organization=organization)
    assert answer.status_code == 422, answer.text
    assert [item["loc"] for item in answer.json["detail"]] == [["query", "cursor"]]


@pytest.fixture
def seven(fleet: Fleet) -> list[str]:
    """Identities."""
    identities = [f"CP-{number}" for number in (3, 1, 7, 2, 6, 5, 4)]
    for number, identity in enumerate(identities):
        fleet.create(
            identity=identity,
            location_id="here",
            ocpp_version="OCPP2.0.1" if number % 3 == 0 else "OCPP1.6",
        )
    return identities


@every_sort
@pytest.mark.parametrize("filters", FILTERS, ids=str)
@pytest.mark.usefixtures("seven")
def test_pages_by_cursor_and_by_number_are_the_same(fleet: Fleet, sort: str, filters: dict[str, str]) -> None:
    whole = page(fleet, sort=sort, limit=100, **filters)["data"]
    assert whole
    pages = [page(fleet, sort=sort, limit=2, cursor="", **filters)]
    while pages[-1]["next_cursor"]:
        pages.append(page(fleet, sort=sort, limit=2, cursor=pages[-1]["next_cursor"], **filters))
    numbered = [page(fleet, sort=sort, limit=2, page=n + 1, **filters) for n in range(len(pages))]

    assert [row for one in pages for row in one["data"]] == whole
    assert [one["data"] for one in numbered] == [one["data"] for one in pages]
    assert [one["next_cursor"] for one in numbered] == [one["next_cursor"] for one in pages]
    assert {one["total"] for one in numbered} == {len(whole)}


@every_sort
@pytest.mark.usefixtures("seven")
def test_a_cursor_is_safe_in_a_url(fleet: Fleet, sort: str) -> None:
    cursor = page(fleet, sort=sort, limit=1)["next_cursor"]

    assert re.fullmatch(r"[A-Za-z0-9_.~-]{1,512}", cursor)


@every_sort
@pytest.mark.usefixtures("seven")
def test_a_cursor_of_another_list_is_refused(fleet: Fleet, sort: str) -> None:
    cursor = page(fleet, sort=sort, limit=1, status="PENDING")["next_cursor"]

    assert page(fleet, sort=sort, limit=5, status="PENDING", cursor=cursor)["data"]
    refused(fleet, sort=sort, cursor=cursor)
    refused(fleet, sort=sort, status="READY", cursor=cursor)
    refused(fleet, sort=sort, status="PENDING", q="CP", cursor=cursor)
    refused(fleet, organization="globex", sort=sort, status="PENDING", cursor=cursor)
    for other in set(SORTS) - {sort}:
        refused(fleet, sort=other, status="PENDING", cursor=cursor)


@pytest.mark.usefixtures("seven")
def test_a_page_and_a_cursor_together_are_refused(fleet: Fleet) -> None:
    cursor = page(fleet, limit=1)["next_cursor"]

    for given_cursor in (cursor, ""):
        answer = fleet.get(f"/ocpp/chargers?page=1&cursor={given_cursor}")

        assert answer.status_code == 422
        assert [(item["loc"], item["type"]) for item in answer.json["detail"]] == [
            (["query", "page"], "value_error")
        ]


@pytest.mark.parametrize("cursor", ["x", "..", "W10.", "é", "%00", "1" * 513, "null", "WyJhIl0.aaaa"])
def test_what_is_no_cursor_is_refused(fleet: Fleet, cursor: str) -> None:
    answer = fleet.get(f"/ocpp/chargers?cursor={quote(cursor, safe='%')}")

    assert answer.status_code == 422
    assert [item["loc"] for item in answer.json["detail"]] == [["query", "cursor"]]


SORT = Sort(SortKey.IDENTITY, descending=False)


@hypothesis_settings(deadline=None)
@given(at=st.integers(0, 10_000), letter=st.characters(codec="utf-8"), identity=st.text("AB-:", min_size=1))
def test_a_changed_cursor_is_never_taken(at: int, letter: str, identity: str) -> None:
    cursor = write_cursor((identity,), SORT, {"q": "x"})
    at %= len(cursor)
    changed = cursor[:at] + letter + cursor[at + 1 :]

    if changed == cursor:
        assert read_cursor(changed, SORT, {"q": "x"}) == (identity,)
    else:
        with pytest.raises(InvalidCursor):
            read_cursor(changed, SORT, {"q": "x"})


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    "content",
    [
        None,
        1,
        [],
        {},
        "dep-1",
        [None],
        [1],
        ["\x00"],
        ["a", "b", "c"],
        ["2026-04-02", "x"],
        ["0001-01-01T00:00:00+23:59", "x"],
        ["2026-04-02T00:00:00+00:00", 1],
    ],
    ids=repr,
)
def test_a_forged_cursor_is_refused_without_an_internal_error(sort: str, content: Any) -> None:
    """The key is public: it finds damage, it does not keep anybody out."""
    order = Sort(SortKey(sort.removeprefix("-")), descending=sort.startswith("-"))
    forged = str(serializer_of(order, {}).dumps(content))

    with pytest.raises(InvalidCursor):
        read_cursor(forged, order, {})


@dataclass(frozen=True)
class Reading:
    """Of a list, page by page, while others create and delete chargers between the pages."""

    sort: str
    filters: dict[str, str]
    limit: int
    before: list[int]
    between: list[list[tuple[str, int]]]


others = st.lists(
    st.one_of(
        st.tuples(st.just("create"), st.integers(0, 10**6)),
        st.tuples(st.just("delete"), st.integers(0, 10**6)),
    ),
    max_size=4,
)


@hypothesis_settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    reading=st.builds(
        Reading,
        sort=st.sampled_from(SORTS),
        filters=st.sampled_from([FILTERS[0], FILTERS[2], FILTERS[3]]),
        limit=st.integers(1, 3),
        before=st.lists(st.integers(0, 10**6), min_size=1, max_size=8, unique=True),
        between=st.lists(others, max_size=8),
    )
)
def test_a_charger_that_exists_throughout_is_listed_once_while_others_come_and_go(
    fleet: Fleet, reading: Reading
) -> None:
    with fleet.sessions.begin() as session:
        session.execute(text("TRUNCATE chargers, charger_links, commands, charger_events CASCADE"))
    there = {
        fleet.create(identity=f"CP-{number}", location_id="here"): f"CP-{number}" for number in reading.before
    }
    ever, throughout = set(there), set(there)
    read: list[str] = []

    cursor = ""
    for step in range(1000):
        found = page(fleet, sort=reading.sort, limit=reading.limit, cursor=cursor, **reading.filters)
        read += [row["id"] for row in found["data"]]
        cursor = found["next_cursor"]
        if cursor is None:
            break
        for action, number in reading.between[step] if step < len(reading.between) else ():
            if action == "delete" and there:
                gone = sorted(there)[number % len(there)]
                fleet.delete(f"/ocpp/chargers/{gone}")
                del there[gone]
                throughout.discard(gone)
            elif action == "create" and f"CP-{number}" not in there.values():
                new = fleet.create(identity=f"CP-{number}", location_id="here")
                there[new] = f"CP-{number}"
                ever.add(new)

    assert len(read) == len(set(read))
    assert throughout <= set(read) <= ever
