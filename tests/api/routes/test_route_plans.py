"""What a route that names one charger, action, job, host or location reads is found by an index."""

import re

import pytest
from flask import Flask

from tests.api.http.every_route import AcmeCalls, every_bound_route
from tests.api.http.route_table import Route
from tests.support.fleet import Fleet
from tests.support.plans import executed

#: Tables of a few rows, which are read as a whole: a row per log group, per link process, per database of the server.
SMALL = {"log_cursors", "control_links", "pg_database"}


@pytest.fixture
def call(fleet: Fleet) -> AcmeCalls:
    return AcmeCalls(fleet)


@every_bound_route
def test_a_route_that_names_one_resource_reads_no_table_as_a_whole(
    app: Flask, fleet: Fleet, call: AcmeCalls, route: Route
) -> None:
    pools = app.extensions["chargehand"].pools

    with executed(pools.reading, pools.accepting, pools.batching) as statements:
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
