"""What a route that names one charger, action, job, host or location reads is found by an index."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event

from tests.api.http.every_route import AcmeCalls, every_bound_route
from tests.api.http.route_table import Route
from tests.support.fleet import Fleet

#: Whole tables that are as small as the installation: a cursor per log group, a row per link process.
SMALL = {"log_cursors", "control_links", "pg_database"}
EXPLAINABLE = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@pytest.fixture
def call(fleet: Fleet) -> AcmeCalls:
    return AcmeCalls(fleet)


@contextmanager
def executed(app: Flask) -> Iterator[list[tuple[str, Any]]]:
    """The statements of the API meanwhile, with their parameters."""
    pools = app.extensions["chargehand"].pools
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if statement.lstrip().startswith(EXPLAINABLE):
            found.append((statement, parameters))

    with ExitStack() as stack:
        for pool in (pools.reading, pools.accepting, pools.batching):
            event.listen(pool, "before_cursor_execute", note)
            stack.callback(event.remove, pool, "before_cursor_execute", note)
        yield found


@every_bound_route
def test_a_route_that_names_one_resource_reads_no_table_as_a_whole(
    app: Flask, fleet: Fleet, call: AcmeCalls, route: Route
) -> None:
    with executed(app) as statements:
        answer = call(route, fleet.headers())

    assert answer.status_code == route.status
    assert statements
    with fleet.sessions.begin() as session:
        connection = session.connection()
        # Then PostgreSQL reads a table as a whole only where no index serves, also while the table is small.
        connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        for statement, parameters in statements:
            rows = connection.exec_driver_sql(f"EXPLAIN {statement}", parameters).scalars()
            plan = "\n".join(rows)
            assert set(re.findall(r"Seq Scan on (\w+)", plan)) <= SMALL, f"{statement}\n{parameters}\n{plan}"
