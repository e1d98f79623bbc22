"""Any lines, any filters, any page size: walking by cursor gives each matching line once, in the order of time."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from shared.fleet.logs import pages
from tests.api.routes.logs.reading import Log
from tests.support.log_entries import NOON, Row, connection, frame, remark

HOUR = 3600
#: Over three days, and often at the same moment.
SECONDS = st.one_of(st.integers(0, 3), st.integers(-18, 18).map(lambda hours: hours * HOUR))
MESSAGES = st.sampled_from(['[2,"1","A",{}]', '[3,"1",{}]', '[4,"1","E","x",{}]', "x%", "_X", "", None])
ROWS = st.one_of(
    st.builds(frame, SECONDS, st.just(""), MESSAGES, action=st.sampled_from("AB"), to_csms=st.booleans()),
    st.builds(remark, SECONDS, st.just(""), st.sampled_from(["info", "error"]), st.sampled_from("xyz")),
    st.builds(connection, SECONDS, st.just(""), st.sampled_from(["accepted", "disconnected"])),
)
LOGS = st.lists(st.tuples(ROWS, st.integers(0, 9)), max_size=25)
KINDS = st.lists(st.sampled_from(["frame", "remark", "connection"]), min_size=1, unique=True).map(",".join)
QUERIES = st.fixed_dictionaries(
    {"kind": KINDS, "order": st.sampled_from(["asc", "desc"]), "limit": st.integers(1, 7)},
    optional={
        "q": st.sampled_from(["x", "E", "%", "_", "[2"]),
        "errors": st.just("true"),
        "hide": st.just("A"),
        "direction": st.sampled_from(["cp_to_csms", "csms_to_cp"]),
        "event": st.just("A"),
        "start_date": st.integers(-1, 2).map(lambda second: (NOON + timedelta(seconds=second)).isoformat()),
        "end_date": st.integers(0, 2).map(lambda second: (NOON + timedelta(seconds=second)).isoformat()),
    },
)


def written(lines: list[tuple[Row, int]]) -> list[Row]:
    """The lines as rows of the database: an id occurs once in a moment."""
    rows = [row | {"event_id": str(id_)} for row, id_ in lines]
    keyed = {(row["timestamp"], row["event_id"]): row for row in rows}
    return list(keyed.values())


def expected(rows: list[Row], query: dict[str, Any]) -> list[tuple[str, str]]:
    """The kind and id of the entries that a client wants."""
    found = sorted(
        (row for row in rows if fits(row, query)),
        key=lambda row: (row["timestamp"], row["event_id"]),
        reverse=query["order"] == "desc",
    )
    return [(row.get("kind", "frame"), row["event_id"]) for row in found]


def fits(row: Row, query: dict[str, Any]) -> bool:
    message = row.get("message") or ""
    is_error = (
        message.startswith("[4,")
        if "direction" in row
        else "error" in row.values() or "disconnected" in row.values()
    )
    return (
        row.get("kind", "frame") in query["kind"].split(",")
        and query.get("q", "").lower() in message.lower()
        and ("errors" not in query or is_error)
        and ("hide" not in query or row.get("action") != "A")
        and ("event" not in query or row.get("action") == "A")
        and query.get("direction", row.get("direction")) == row.get("direction")
        and datetime.fromisoformat(query.get("start_date", "0001-01-01T00:00:00+00:00")) <= row["timestamp"]
        and row["timestamp"] <= datetime.fromisoformat(query.get("end_date", "9999-01-01T00:00:00+00:00"))
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=LOGS, query=QUERIES, max_rows=st.sampled_from([3, 5000]))
def test_walking_gives_each_match_once_and_in_order(
    log: Log,
    monkeypatch: pytest.MonkeyPatch,
    lines: list[tuple[Row, int]],
    query: dict[str, Any],
    max_rows: int,
) -> None:
    monkeypatch.setattr(pages, "MAX_ROWS_READ", max_rows)
    if "frame" not in query["kind"]:
        query = {name: value for name, value in query.items() if name not in ("event", "direction")}
    rows = written(lines)
    with log.fleet.sessions.begin() as session:
        session.execute(text("TRUNCATE charger_logs, charger_log_lines"))
    log.write(*rows)

    there, last = forward(log, query)
    back = backward(log, query, last["previous_cursor"])

    assert there == expected(rows, query)
    assert back + entries_of(last) == there


def forward(log: Log, query: dict[str, Any]) -> tuple[list[tuple[str, str]], Any]:
    """All entries, and the last page."""
    found: list[tuple[str, str]] = []
    page = log.get(cursor="", **query)
    while page["next_cursor"] is not None:
        assert len(page["data"]) <= query["limit"]
        assert page["data"] or page["searched_until"]
        found += entries_of(page)
        page = log.get(cursor=page["next_cursor"], **query)
    return found + entries_of(page), page


def backward(log: Log, query: dict[str, Any], cursor: str | None) -> list[tuple[str, str]]:
    """All entries before a page, in the order of the list."""
    found: list[tuple[str, str]] = []
    while cursor is not None:
        page = log.get(cursor=cursor, **query)
        found = entries_of(page) + found
        cursor = page["previous_cursor"] if page["data"] or page["searched_until"] else None
    return found


def entries_of(page: Any) -> list[tuple[str, str]]:
    return [(entry["kind"], entry["id"]) for entry in page["data"]]
