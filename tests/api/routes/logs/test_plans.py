"""How PostgreSQL reads a page of a long log: by the index, few more rows than the page needs, and no other day."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import event, text

from shared.fleet.logs.pages import MAX_ROWS_READ
from tests.api.routes.logs.reading import Log
from tests.support.log_entries import NOON

FRAMES = 12_000  # over two days and a half
PAGE = 50


@pytest.fixture
def long_log(log: Log) -> Log:
    with log.fleet.sessions.begin() as session:
        for charger_id in (log.charger_id, "dep-other"):
            session.execute(
                text(
                    "INSERT INTO charger_logs SELECT :charger_id, CAST(:noon AS timestamptz) - n * interval '10 s',"
                    " lpad(n::text, 8, '0'), 'cp_to_csms', 'Heartbeat', '[2, \"x\", \"Heartbeat\", {}]'"
                    " FROM generate_series(1, :count) AS n"
                ),
                {"charger_id": charger_id, "noon": NOON, "count": FRAMES},
            )
    with log.fleet.sessions.autocommit.connect() as connection:
        connection.execute(text("ANALYZE charger_logs"))
    return log


@pytest.fixture
def statements(log: Log) -> Iterator[list[tuple[str, Any]]]:
    """The statements that read a log, with their parameters."""
    noted: list[tuple[str, Any]] = []
    reading = log.fleet.client.application.extensions["chargehand"].pools.reading

    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "charger_logs" in statement:
            noted.append((statement, parameters))

    event.listen(reading, "before_cursor_execute", note)
    yield noted
    event.remove(reading, "before_cursor_execute", note)


def scans(log: Log, statement: str, parameters: Any) -> dict[str, int]:
    """The rows that were read of each partition, unless there were none."""
    with log.fleet.sessions.autocommit.connect() as connection:
        explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
        plans = [explained.scalar_one()[0]["Plan"]]
    found: dict[str, int] = {}
    while plans:
        plan = plans.pop()
        plans += plan.get("Plans", [])
        table = plan.get("Relation Name", "")
        if table.startswith("charger_logs") and plan["Actual Loops"]:
            assert plan["Node Type"] in ("Index Scan", "Index Only Scan"), plan
            read = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
            found[table] = found.get(table, 0) + round(read)
    return {table: rows for table, rows in found.items() if rows}


@pytest.mark.parametrize(
    "query",
    [
        {"cursor": ""},
        {"kind": "frame,remark,connection"},
        {"kind": "frame,remark,connection", "order": "asc"},
        {"q": "heartbeat"},
    ],
)
def test_a_page_reads_what_it_shows(
    long_log: Log, statements: list[tuple[str, Any]], query: dict[str, Any]
) -> None:
    first = long_log.get(limit=PAGE, **query)
    long_log.get(limit=PAGE, **query | {"cursor": first["next_cursor"]})

    assert len(statements) == 2
    for statement, parameters in statements:
        read = scans(long_log, statement, parameters)
        assert len(read) == 1
        assert sum(read.values()) <= PAGE + 1


def test_a_page_of_several_kinds_with_a_filter_reads_a_bounded_number_of_rows(
    long_log: Log, statements: list[tuple[str, Any]]
) -> None:
    page = long_log.get(kind="frame,remark", hide="MeterValues", limit=PAGE)

    assert len(page["data"]) == PAGE
    (statement,) = statements
    assert sum(scans(long_log, *statement).values()) <= MAX_ROWS_READ


@pytest.mark.parametrize(
    "query", [{"q": "nowhere"}, {"errors": "true", "kind": "frame,connection"}, {"event": "X"}]
)
def test_a_search_reads_a_bounded_number_of_rows_and_says_how_far_it_came(
    long_log: Log, statements: list[tuple[str, Any]], query: dict[str, Any]
) -> None:
    page = long_log.get(**{"cursor": ""} | query)

    assert page["data"] == []
    assert page["searched_until"] is not None
    assert all(
        sum(scans(long_log, statement, parameters).values()) <= MAX_ROWS_READ
        for statement, parameters in statements
    )
    pages = 1
    while page["next_cursor"] is not None:
        page = long_log.get(cursor=page["next_cursor"], **query)
        pages += 1
    assert pages == FRAMES // MAX_ROWS_READ + 1
    assert page["searched_until"] is None
