"""How PostgreSQL reads a page of 20,000 chargers: by an index, and no more of them than the page needs."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from sqlalchemy import event, text

from shared.models import Charger
from tests.api.conftest import Fleet

CHARGERS = 20_000
RARE = 20  # chargers with each rare value
PAGE = 10
#: Rows that one step of a plan may read: a walk along the list for a text, which ends after 1,000, or less.
MOST = 1200

SORTS = ["created_at", "-created_at", "-identity", "state_since"]
FILTERS: list[dict[str, str]] = [
    {},
    {"status": "READY"},
    {"status": "FAILED"},
    {"observed": "starting,stopping,stopped,unknown"},
    {"ocpp_state": "rejected,disconnected"},
    {"ocpp_version": "OCPP2.0.1"},
    {"brand_slug": "wallbox"},
    {"brand_slug": "abb"},
    {"location_id": "here"},
    {"identity": "MORE-12345"},
    {"q": "more"},
    {"q": "needle"},
    {"q": "MORE-12345"},
    {"q": "nowhere"},
    {"status": "FAILED", "q": "more"},
    {"status": "READY", "observed": "running", "ocpp_state": "accepted", "brand_slug": "wallbox"},
]
#: What makes the n-th twenty chargers rare.
CHANGES = [
    "provisioning_status = 'FAILED'",
    "running_count = 0",
    "desired_count = 0",
    "ocpp_state = 'rejected'",
    "ocpp_version = 'OCPP2.0.1'",
    "brand_slug = 'abb', model_slug = 'terra-54'",
    "location_id = 'here'",
    "name = 'Needle'",
]


@pytest.fixture
def many(fleet: Fleet) -> None:
    charger_id = fleet.ready(identity="CP-1")
    fleet.settle(charger_id, ocpp_state="accepted")
    fleet.multiply(charger_id, CHARGERS)
    with fleet.sessions.begin() as session:
        for number, change in enumerate(CHANGES):
            some = range(number + 1, CHARGERS, CHARGERS // RARE)
            session.execute(
                text(f"UPDATE chargers SET {change} WHERE id = ANY(:ids)"),  # noqa: S608  # our own words
                {"ids": [f"dep-more-{one:08d}" for one in some]},
            )
    with fleet.sessions.statements.connect() as connection:
        connection.execute(text("VACUUM ANALYZE chargers, charger_search"))


def steps(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from steps(below)


def rows_read(step: dict[str, Any]) -> float:
    """By a step of a plan, over all its repetitions, those included that did not fit."""
    removed = sum(step.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck", "Join Filter"))
    return float((step["Actual Rows"] + removed) * step["Actual Loops"])


@pytest.mark.usefixtures("many")
def test_no_page_reads_or_sorts_the_whole_organization(fleet: Fleet) -> None:
    engine = fleet.client.application.extensions["chargehand"].pools.reading
    statements: list[tuple[str, Any]] = []

    @event.listens_for(engine, "before_cursor_execute")
    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if f"FROM {Charger.__tablename__}" in statement:
            statements.append((statement, parameters))

    try:
        for sort in SORTS:
            for filters in FILTERS:
                query = {"sort": sort, "limit": PAGE, "cursor": "", **filters}
                first = fleet.get(f"/ocpp/chargers?{urlencode(query)}").json
                assert bool(first["data"]) is (filters.get("q") != "nowhere"), query
                if first["next_cursor"]:
                    query["cursor"] = first["next_cursor"]
                    assert fleet.get(f"/ocpp/chargers?{urlencode(query)}").json["data"], query
    finally:
        event.remove(engine, "before_cursor_execute", note)

    assert len(statements) >= len(SORTS) * len(FILTERS)
    with engine.connect() as connection:
        for statement, parameters in statements:
            explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            for step in steps(explained.scalar()[0]["Plan"]):
                assert step["Node Type"] != "Seq Scan", f"{statement}\n{parameters}\n{step}"
                assert rows_read(step) <= MOST, f"{statement}\n{parameters}\n{step}"
